"""A DocumentDB cluster as the service meets it: users with passwords, TLS, a member of `rs0`.

The database is SecantusDB with `--auth`; it calls its replica set otherwise, so a relay in front of
it puts its own address and `rs0` into the answers that say who the server is, and ends the TLS.
"""

import asyncio
import contextlib
import ipaddress
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import bson
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from game_api.clock import utc_now
from game_api.embedded import free_port

ADMIN, ADMIN_PASSWORD = "admin", "of-the-tests"
OWN_NAME, NAME = "secantus", "rs0"
OP_REPLY, OP_MSG = 1, 2013


class Cluster:
    """A database that wants passwords, for as long as `running` lasts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self.certificate = directory / "certificate.pem"

    @contextlib.contextmanager
    def running(self) -> Iterator["Cluster"]:
        make_certificate(self.certificate)
        with self._process(), self._client() as client:
            client.admin.command("createUser", ADMIN, pwd=ADMIN_PASSWORD, roles=["root"])
        with self._process("--auth"):
            yield self

    @contextlib.contextmanager
    def _process(self, *options: str) -> Iterator[None]:
        self.port = free_port()
        process = subprocess.Popen(
            [
                Path(sys.executable).with_name("secantusd-py"),
                *("--host", "127.0.0.1", "--port", str(self.port), "--cache-size", "256M"),
                *("--storage-path", str(self.directory / "database"), *options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + 30
            while True:
                with contextlib.suppress(PyMongoError), self._client() as client:
                    client.admin.command("hello")
                    break
                assert time.monotonic() < deadline and process.poll() is None
            yield
        finally:
            process.terminate()
            with contextlib.suppress(PyMongoError, subprocess.TimeoutExpired), self._client() as c:
                c.admin.command("hello")  # it looks up from waiting only when somebody comes
                process.wait(2)
            process.kill()
            process.wait()

    def _client(self, **login: Any) -> MongoClient[dict[str, Any]]:
        return MongoClient(
            "127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=200, **login
        )

    def set_password(self, user: str, password: str) -> None:
        """Make the user, or change its password; connections that it has stay what they are."""
        with self._client(username=ADMIN, password=ADMIN_PASSWORD) as client:
            found = client.admin.command("usersInfo", user)["users"]
            command = "updateUser" if found else "createUser"
            client.admin.command(command, user, pwd=password, roles=["root"])

    @contextlib.asynccontextmanager
    async def endpoint(self) -> AsyncIterator[int]:
        """The port of a relay to it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        serving: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            serving.add(task)
            to_server, from_server = None, writer
            try:
                upstream, to_server = await asyncio.open_connection("127.0.0.1", self.port)
                async with asyncio.TaskGroup() as group:
                    group.create_task(copy(reader, to_server, None))
                    group.create_task(copy(upstream, from_server, f"127.0.0.1:{port}"))
            finally:
                serving.discard(task)
                writer.close()
                if to_server is not None:
                    to_server.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        port: int = server.sockets[0].getsockname()[1]
        try:
            yield port
        finally:
            server.close()
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)


async def copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str | None
) -> None:
    """Pass messages on until either side ends; answers as if they came from this address."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readexactly(16)
            message = head + await reader.readexactly(struct.unpack_from("<i", head)[0] - 16)
            if address is not None and OWN_NAME.encode() in message:
                message = introduced(message, address)
            writer.write(message)
            await writer.drain()
    writer.close()


def introduced(message: bytes, address: str) -> bytes:
    """An answer to `hello` with another address and name of a replica set in it."""
    operation = struct.unpack_from("<i", message, 12)[0]
    start = {OP_REPLY: 36, OP_MSG: 21}[operation]
    document = bson.decode(message[start:])
    if document.get("setName") == OWN_NAME:
        document |= {"setName": NAME, "hosts": [address], "me": address, "primary": address}
    body = bson.encode(document)
    return struct.pack("<i", start + len(body)) + message[4:start] + body


def make_certificate(path: Path) -> None:
    """A key, and a certificate for 127.0.0.1 that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    here = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(hours=1))
        .not_valid_after(utc_now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([here]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    written = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(written + certificate.public_bytes(serialization.Encoding.PEM))
