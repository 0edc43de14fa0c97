"""A simulation of DocumentDB: SecantusDB with users and passwords, behind TLS."""

import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient

from tests.database.documentdb_cluster import DocumentDbCluster
from tests.e2e.network import HOST
from tests.e2e.paths import CERTIFICATE, RUN
from tests.e2e.processes import Process, print_progress, run

USER = "gameapi"
PORT = 27017


class Database:
    """The database server, and a TLS relay for each of its endpoints."""

    def __init__(self) -> None:
        self.server = DocumentDbCluster(RUN / "database")
        self.relays: dict[str, Process] = {}
        self.hosts = [HOST]

    def start(self) -> None:
        """Start the server with the data it had before, and a relay for each endpoint."""
        self.server.start("--auth", "--sync-on-commit")
        for host in self.hosts:
            self._start_relay(host)

    def add_endpoint(self, host: str) -> None:
        self.hosts.append(host)
        self._start_relay(host)

    def _start_relay(self, host: str) -> None:
        relay = self.relays[host] = Process(
            f"database-at-{host}",
            *(sys.executable, "-m", "tests.database.documentdb_cluster"),
            *(host, str(PORT), str(self.server.port), CERTIFICATE),
        )
        relay.start().wait_until("the database answers", lambda: bool(peers("listening", host)))

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Kill the database with SIGKILL, so that it cannot close connections or flush writes.

        It is started again when the block ends.
        """
        self.kill()
        try:
            yield
        finally:
            self.start()

    def kill(self) -> None:
        self.server.kill()
        for relay in self.relays.values():
            relay.stop(signal.SIGKILL)

    def rotate_password(self) -> str:
        """Set and return a new password for the user. Existing connections stay open."""
        password = secrets.token_urlsafe(24)
        self.server.set_password(USER, password)
        return password

    def client(self) -> MongoClient[dict[str, Any]]:
        """Return an administrator's client that bypasses the relay, to inspect stored data."""
        return self.server.administrator()

    def connections(self, host: str | None = None) -> set[str]:
        """The peer addresses of the clients' connections, to one endpoint or to all of them."""
        hosts = self.hosts if host is None else [host]
        return {peer for host in hosts for peer in peers("established", host)}


def peers(state: str, host: str) -> list[str]:
    """The peer addresses of the database's sockets in this state."""
    output = run("ss", "-Htn", "state", state, "src", f"{host}:{PORT}")
    return [line.split()[-1] for line in output.splitlines()]


@contextmanager
def running_database() -> Iterator[Database]:
    """Run the database at HOST:PORT. Its user is created by the first `rotate_password`."""
    database = Database()
    database.server.directory.mkdir()
    database.server.create()
    database.start()
    try:
        print_progress("the simulated DocumentDB (SecantusDB) is ready")
        yield database
    finally:
        database.kill()
