"""The servers: the database, the service, and its peers."""

import compileall
import contextlib
import http.client
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.access.minting import SECRET
from tests.benchmarks.operations import known_token
from tests.benchmarks.processes import ROOT, START_SECONDS, BenchmarkFailed, Process
from tests.service import free_port

HOST = "127.0.0.1"
POLL_SECONDS = 0.003


class DatabaseServer(Process):
    """SecantusDB with the options of the embedded database."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        command = [sys.executable, "-P", "-m", "secantus", "--host", HOST, "--port", f"{self.port}"]
        command += ["--storage-path", f"{directory / 'database'}", "--cache-size", "256M"]
        super().__init__("database", [*command, "--sync-on-commit", "--standalone"], {}, directory)
        self.wait_until(lambda: accepts_connections(self.port))

    @property
    def uri(self) -> str:
        return database_uri(self.port)

    def stop(self) -> None:
        self.signal(signal.SIGTERM)
        accepts_connections(self.port)  # It notices the signal only when somebody connects.
        super().stop()


def database_uri(port: int) -> str:
    return f"mongodb://{HOST}:{port}/?directConnection=true"


@dataclass(frozen=True)
class Variant:
    """A server to measure: a peer, or game-api, also from another source tree."""

    name: str
    source: Path = ROOT / "src"
    """The directory that holds the package `game_api`."""
    module: str | None = None
    """The module of a peer."""


PEERS = {
    "floor": "floor",
    "by-the-book": "by_the_book",
    "beanie": "with_beanie",
    "models-only": "models_only",
    "find-and-modify": "find_and_modify",
}
FLOOR, BY_THE_BOOK, GAME_API = "floor", "by-the-book", "game-api"
SETTINGS = {
    "GAME_API_AUTH": "jwt",
    "GAME_API_JWT_SECRET": SECRET,
    "GAME_API_LOG_FORMAT": "json",
    "GAME_API_METRICS": "stdout",
    "GAME_API_RATE_LIMIT": "100000/second",  # It is counted, but never reached.
}
"""The service as it is shipped, with authentication, access log, metrics and limits."""


def variant(text: str) -> Variant:
    """The variant that is named on the command line; `NAME=PATH` is another source tree."""
    name, _, path = text.partition("=")
    if path:
        if not (Path(path) / "game_api").is_dir():
            raise BenchmarkFailed(f"{text}: there is no package game_api in {path}")
        return Variant(name, Path(path).resolve())
    if name not in PEERS and name != GAME_API:
        known = ", ".join([*PEERS, GAME_API])
        raise BenchmarkFailed(f"there is no variant {name}; there are {known}, and NAME=PATH")
    return Variant(name, module=PEERS.get(name))


class Server(Process):
    """One process that serves a variant; a launcher is a module that runs its module."""

    def __init__(
        self,
        variant: Variant,
        uri: str,
        database: str,
        directory: Path,
        launcher: Sequence[str] = (),
    ) -> None:
        self.variant, self.port = variant, free_port()
        if variant.module is not None:
            command = ["uvicorn", f"tests.benchmarks.peers.{variant.module}:app"]
            command += ["--port", f"{self.port}", "--loop", "uvloop", "--http", "httptools"]
            command += ["--ws", "none", "--lifespan", "on", "--no-access-log", "--no-server-header"]
            command += ["--log-level", "warning"]
            environment = {"BENCHMARK_URI": uri, "BENCHMARK_DATABASE": database}
        else:
            command = ["game_api"]
            environment = SETTINGS | {
                "GAME_API_PORT": f"{self.port}",
                "GAME_API_MONGODB_URI": uri,
                "GAME_API_DATABASE": database,
                "PYTHONPATH": f"{variant.source}",
            }
        # As in the image: a process that compiles modules starts later, and needs more memory.
        compileall.compile_dir(variant.source, quiet=1)
        name = f"{variant.name}-{self.port}"
        super().__init__(name, [sys.executable, "-m", *launcher, *command], environment, directory)

    def wait_until_ready(self) -> Self:
        """Wait for the first answer that needs the database."""
        self.wait_until(self.answers, POLL_SECONDS)
        return self

    def answers(self) -> bool:
        """Whether a player is shown. Raises BenchmarkFailed for another answer."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=START_SECONDS)
        headers = {"Authorization": f"Bearer {known_token('p0')}"}
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/api/v1/players/p0", headers=headers)
                answer = connection.getresponse()
            except OSError:
                return False
            if answer.status != 200:
                raise BenchmarkFailed(
                    f"{self.name} answers {answer.status} {answer.read()[:300]!r}"
                )
            return True


def accepts_connections(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
        return True
    except OSError:
        return False
