"""DocumentDB's part, played by SecantusDB with users, behind TLS."""

import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pymongo import MongoClient

from tests.cluster import Cluster
from tests.e2e.network import HOST
from tests.e2e.paths import CERTIFICATE, RUN
from tests.e2e.processes import Process, run, say

USER = "gameapi"
PORT = 27017


class Database:
    """The database, and what can happen to it."""

    def __init__(self) -> None:
        self.server = Cluster(RUN / "database")
        self.relays: dict[str, Process] = {}
        self.hosts = [HOST]

    def start(self) -> None:
        """Start it, with what it held before."""
        self.server.start("--auth", "--sync-on-commit")
        for host in self.hosts:
            self._relay(host)

    def serve_at(self, host: str) -> None:
        """Have another endpoint."""
        self.hosts.append(host)
        self._relay(host)

    def _relay(self, host: str) -> None:
        relay = self.relays[host] = Process(
            f"database-at-{host}",
            *(sys.executable, "-m", "tests.cluster"),
            *(host, str(PORT), str(self.server.port), CERTIFICATE),
        )
        relay.start().wait_until("the database answers", lambda: bool(sockets("listening", host)))

    @contextmanager
    def away(self) -> Iterator[None]:
        """kill -9: nothing is said to anybody, and nothing written that was not."""
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
        """A new password for the user; connections that there are stay."""
        password = secrets.token_urlsafe(24)
        self.server.set_password(USER, password)
        return password

    def client(self) -> MongoClient[dict[str, Any]]:
        """Past the relay, to see what is stored."""
        return self.server.administrator()

    def connections(self, host: str | None = None) -> set[str]:
        """The other ends of its clients' connections, to one endpoint or all."""
        hosts = self.hosts if host is None else [host]
        return {peer for host in hosts for peer in sockets("established", host)}


def sockets(state: str, host: str) -> list[str]:
    """The peers of the database's sockets that are in this state."""
    found = run("ss", "-Htn", "state", state, "src", f"{host}:{PORT}")
    return [line.split()[-1] for line in found.splitlines()]


@contextmanager
def database() -> Iterator[Database]:
    """DocumentDB at HOST:PORT, with a user whose password nobody has yet."""
    playing = Database()
    playing.server.directory.mkdir()
    playing.server.create()
    playing.start()
    try:
        say("DocumentDB is played by SecantusDB")
        yield playing
    finally:
        playing.kill()
