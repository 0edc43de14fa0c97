"""Fixtures: a real embedded database, the app in this process, and the service as a process."""

import asyncio
import json
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from game_api.app import MODELS, create_app
from game_api.database.client import Database, connect
from game_api.database.connection import Connection, FixedConnection
from game_api.database.embedded import EmbeddedDatabase
from game_api.database.indexes import create_indexes
from game_api.observability.logs import LineFormatter, record_with_request_id
from game_api.observability.metrics import Metrics
from game_api.observability.redaction import Redactor
from game_api.players.store import PlayerStore
from game_api.runtime import Runtime
from game_api.seats.claims import Claims
from game_api.sessions.store import SessionStore
from game_api.settings import Settings
from tests.apps import running
from tests.documentdb import DocumentDbGuard
from tests.service import Service

# No test may fail because the machine is slow.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedDatabase]:
    """One database process for the whole test run."""
    directory = tmp_path_factory.mktemp("database")
    database = EmbeddedDatabase(directory)
    await database.start()
    yield database
    await database.stop()
    shutil.rmtree(directory)


@pytest.fixture
def uri(server: EmbeddedDatabase) -> str:
    """The URI of a new database for this test."""
    return f"mongodb://127.0.0.1:{server.port}/test_{uuid4().hex}?directConnection=true"


@pytest.fixture
def guard() -> Iterator[DocumentDbGuard]:
    """Fails the test if it sent a command that DocumentDB 5.0 does not support."""
    guard = DocumentDbGuard()
    yield guard
    assert not guard.refused, f"DocumentDB 5.0 does not support: {guard.refused}"


@pytest.fixture
async def database(uri: str, guard: DocumentDbGuard) -> AsyncIterator[Database]:
    """The database of the test with its indexes. The guard checks the commands of the test."""
    async with connect(uri, event_listeners=[guard]) as client:
        database = client.get_default_database()
        await create_indexes(database, MODELS)
        guard.forget()
        yield database


@pytest.fixture
def connection(database: Database) -> Connection:
    return FixedConnection(database)


@pytest.fixture
def claims(connection: Connection) -> Claims:
    return Claims(connection)


@pytest.fixture
def players(connection: Connection, claims: Claims) -> PlayerStore:
    return PlayerStore(connection, claims)


@pytest.fixture
def sessions(connection: Connection, claims: Claims, metrics: Metrics) -> SessionStore:
    return SessionStore(connection, claims, metrics)


@pytest.fixture
def runtime() -> Runtime:
    return Runtime(Settings())


@pytest.fixture
def metrics(runtime: Runtime) -> Metrics:
    return runtime.metrics


@pytest.fixture
async def api(
    uri: str, database: Database, guard: DocumentDbGuard, runtime: Runtime
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the app in this process."""
    async with running(create_app(runtime, uri, [guard])) as app:
        yield app.client


class Lines(logging.Handler):
    """Collects the formatted lines of log records."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # These loggers belong to the tests, not to the service.
        if not record.name.startswith(("asyncio", "httpx2", "httpcore2")):
            self.lines.append(self.format(record))

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The lines, decoded from JSON."""
        return [json.loads(line) for line in self.lines]

    def access(self) -> list[dict[str, Any]]:
        """The entries of requests."""
        return [entry for entry in self.entries if entry.get("logger") == "game_api.access"]


@pytest.fixture
def log_lines() -> Iterator[Lines]:
    """The JSON lines that are logged in this process, at debug level and above."""
    handler = Lines()
    handler.setFormatter(LineFormatter(Redactor(Settings()), "pod-1"))
    root = logging.getLogger()
    level = root.level
    factory = logging.getLogRecordFactory()
    logging.setLogRecordFactory(record_with_request_id)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)
    logging.setLogRecordFactory(factory)


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts the service as a process (`start_service(GAME_API_X=...)`) and kills it afterwards."""
    started: list[Service] = []

    def start(**environment: str) -> Service:
        defaults = {"GAME_API_PORT": "0", "GAME_API_DATA_DIR": str(tmp_path / "data")}
        started.append(Service(defaults | environment))
        return started[-1]

    yield start
    for service in started:
        service.kill()


@pytest.fixture
def service_database(uri: str) -> str:
    """The URI of the database of the test, with indexes, for a service in another process."""

    async def prepare() -> None:
        async with connect(uri) as client:
            await create_indexes(client.get_default_database(), MODELS)

    asyncio.run(prepare())
    return uri
