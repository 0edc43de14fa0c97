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
from game_api.database.embedded import free_port

ADMIN, ADMIN_PASSWORD = "admin", "of-the-tests"
HOST = "127.0.0.1"
OWN_NAME, NAME = "secantus", "rs0"
OP_REPLY, OP_MSG = 1, 2013


class Cluster:
    """A database that wants passwords, for as long as `running` lasts."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self.certificate = directory / "certificate.pem"
        self.process: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator["Cluster"]:
        make_certificate(self.certificate, HOST)
        try:
            self.create()
            self.start("--auth")
            yield self
        finally:
            self.stop()

    def create(self) -> None:
        """Make the database's files, with an administrator."""
        self.start("--sync-on-commit")
        with self._client() as client:
            client.admin.command("createUser", ADMIN, pwd=ADMIN_PASSWORD, roles=["root"])
        self.stop()

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers."""
        self.port = free_port()
        self.process = subprocess.Popen(
            [
                Path(sys.executable).with_name("secantusd-py"),
                *("--host", HOST, "--port", str(self.port), "--cache-size", "256M"),
                *("--storage-path", str(self.directory / "database"), *options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(PyMongoError), self._client() as client:
                client.admin.command("hello")
                break
            assert time.monotonic() < deadline and self.process.poll() is None

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(PyMongoError, subprocess.TimeoutExpired), self._client() as c:
                c.admin.command("hello")  # it looks up from waiting only when somebody comes
                self.process.wait(2)
            self.kill()

    def kill(self) -> None:
        """kill -9"""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def administrator(self) -> MongoClient[dict[str, Any]]:
        return self._client(username=ADMIN, password=ADMIN_PASSWORD)

    def _client(self, **login: Any) -> MongoClient[dict[str, Any]]:
        return MongoClient(
            HOST, self.port, directConnection=True, serverSelectionTimeoutMS=200, **login
        )

    def set_password(self, user: str, password: str) -> None:
        """Make the user, or change its password; connections that it has stay what they are."""
        with self.administrator() as client:
            found = client.admin.command("usersInfo", user)["users"]
            command = "updateUser" if found else "createUser"
            client.admin.command(command, user, pwd=password, roles=["root"])

    @contextlib.asynccontextmanager
    async def endpoint(self) -> AsyncIterator[int]:
        """The port of a relay to it."""
        async with relay(self.port, self.certificate, HOST, 0) as port:
            yield port


@contextlib.asynccontextmanager
async def relay(to_port: int, certificate: Path, host: str, port: int) -> AsyncIterator[int]:
    """Listen for TLS on an address, and pass on to a port of the database; the port it has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        serving.add(task)
        to_server = None
        try:
            upstream, to_server = await asyncio.open_connection(HOST, to_port)
            async with asyncio.TaskGroup() as group:
                group.create_task(copy(reader, to_server, None))
                group.create_task(copy(upstream, writer, f"{host}:{port}"))
        except OSError:
            pass  # the database is gone, and so is this connection
        finally:
            serving.discard(task)
            writer.close()
            if to_server is not None:
                to_server.close()

    server = await asyncio.start_server(serve, host, port, ssl=context)
    port = server.sockets[0].getsockname()[1]
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


def make_certificate(path: Path, *addresses: str, days: int = 1) -> None:
    """A key, and a certificate for IP addresses that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, addresses[0])])
    here = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(hours=1))
        .not_valid_after(utc_now() + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(here), critical=False)
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


def certificate_of(path: Path) -> bytes:
    """What such a file holds without the key: all that clients need."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.public_bytes(serialization.Encoding.PEM)


async def main(host: str, port: str, to_port: str, certificate: str) -> None:
    """A relay as a process of its own, until that is killed."""
    async with relay(int(to_port), Path(certificate), host, int(port)):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
