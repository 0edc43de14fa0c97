"""A simulated DocumentDB cluster: it requires passwords and TLS, and its replica set is `rs0`.

The database is SecantusDB with `--auth`. It has no TLS, and its replica set has another name. A
relay in front of it therefore terminates TLS, and replaces the name and the address in responses to
`hello`. `python -m tests.database.documentdb_cluster` runs a relay as a separate process.
"""

import asyncio
import contextlib
import ipaddress
import ssl
import struct
import subprocess
import sys
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
from tests.service import free_port
from tests.waiting import wait_until

ADMIN, ADMIN_PASSWORD = "admin", "of-the-tests"
HOST = "127.0.0.1"
SECANTUS_SET_NAME, SET_NAME = "secantus", "rs0"
"""The name of the replica set according to SecantusDB, and the one that clients see."""
OP_REPLY, OP_MSG = 1, 2013
"""Opcodes of the wire protocol."""


class DocumentDbCluster:
    """A database server that requires passwords."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = 0
        self.certificate = directory / "certificate.pem"
        self.process: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator["DocumentDbCluster"]:
        """Create the database and run it for the duration of the context."""
        make_certificate(self.certificate, HOST)
        try:
            self.create()
            self.start("--auth")
            yield self
        finally:
            self.stop()

    def create(self) -> None:
        """Create the files of the database, with an administrator."""
        self.start("--sync-on-commit")
        with self._client() as client:
            client.admin.command("createUser", ADMIN, pwd=ADMIN_PASSWORD, roles=["root"])
        self.stop()

    def start(self, *options: str) -> None:
        """Start the database and wait until it responds."""
        self.port = free_port()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "secantus"),
                *("--host", HOST, "--port", str(self.port), "--cache-size", "256M"),
                *("--storage-path", str(self.directory / "database"), *options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._responds)

    def _responds(self) -> bool:
        """Whether the database responds. Raises AssertionError if it has ended."""
        assert self.process is not None and self.process.poll() is None
        with contextlib.suppress(PyMongoError), self._client() as client:
            client.admin.command("hello")
            return True
        return False

    def stop(self) -> None:
        """Stop the database, or kill it if it does not stop within two seconds."""
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(PyMongoError, subprocess.TimeoutExpired), self._client() as c:
                c.admin.command("hello")  # It notices the signal only when a connection arrives.
                self.process.wait(2)
            self.kill()

    def kill(self) -> None:
        """Kill the database with SIGKILL."""
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
        """Create the user or change its password. Open connections stay authenticated."""
        with self.administrator() as client:
            users = client.admin.command("usersInfo", user)["users"]
            command = "updateUser" if users else "createUser"
            client.admin.command(command, user, pwd=password, roles=["root"])

    @contextlib.asynccontextmanager
    async def endpoint(self) -> AsyncIterator[int]:
        """Run a relay to the database, and yield the port of the relay."""
        async with relay(self.port, self.certificate, HOST, 0) as port:
            yield port


@contextlib.asynccontextmanager
async def relay(to_port: int, certificate: Path, host: str, port: int) -> AsyncIterator[int]:
    """Accept TLS connections and forward them to a port of the database.

    Yields the port on which the relay listens; `port` 0 means any free port.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        to_server = None
        try:
            upstream, to_server = await asyncio.open_connection(HOST, to_port)
            async with asyncio.TaskGroup() as group:
                group.create_task(forward(reader, to_server))
                group.create_task(forward(upstream, writer, f"{host}:{port}"))
        except OSError:
            pass  # The database is not running, so this connection is closed as well.
        finally:
            tasks.discard(task)
            writer.close()
            if to_server is not None:
                to_server.close()

    server = await asyncio.start_server(serve, host, port, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        yield port
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def forward(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: str | None = None
) -> None:
    """Forward messages until either side closes the connection.

    If an address is given, the messages are responses that seem to come from there.
    """
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        while True:
            head = await reader.readexactly(16)
            message = head + await reader.readexactly(struct.unpack_from("<i", head)[0] - 16)
            if address is not None and SECANTUS_SET_NAME.encode() in message:
                message = with_address(message, address)
            writer.write(message)
            await writer.drain()
    writer.close()


def with_address(message: bytes, address: str) -> bytes:
    """A response to `hello` in which the address and the name of the replica set are replaced."""
    operation = struct.unpack_from("<i", message, 12)[0]
    start = {OP_REPLY: 36, OP_MSG: 21}[operation]
    document = bson.decode(message[start:])
    if document.get("setName") == SECANTUS_SET_NAME:
        document |= {"setName": SET_NAME, "hosts": [address], "me": address, "primary": address}
    body = bson.encode(document)
    return struct.pack("<i", start + len(body)) + message[4:start] + body


def make_certificate(path: Path, *addresses: str, days: int = 1) -> None:
    """Write a key and a self-signed certificate for these IP addresses to a file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, addresses[0])])
    names = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(utc_now() - timedelta(hours=1))
        .not_valid_after(utc_now() + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    private_key = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private_key + certificate.public_bytes(serialization.Encoding.PEM))


def certificate_of(path: Path) -> bytes:
    """The certificate in a file of `make_certificate`, without the key."""
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return certificate.public_bytes(serialization.Encoding.PEM)


async def main(host: str, port: str, to_port: str, certificate: str) -> None:
    """Run a relay until the process is killed."""
    async with relay(int(to_port), Path(certificate), host, int(port)):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
