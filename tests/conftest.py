"""Fixtures: a real embedded database, the app in this process, the service as a process."""

import asyncio
import json
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import pytest_asyncio
from starlette.types import ASGIApp, Receive, Scope, Send

from game_api.app import Process, create_app
from game_api.database import Database, connect, create_indexes
from game_api.embedded import EmbeddedDatabase
from game_api.logs import LineFormatter, Redactor, stamped
from game_api.metrics import Metrics
from game_api.players.store import PlayerStore
from game_api.sessions.claims import Claims
from game_api.sessions.store import SessionStore
from game_api.settings import Settings
from tests.documentdb import DocumentDbGuard
from tests.service import Service


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedDatabase]:
    """One database process for all tests."""
    directory = tmp_path_factory.mktemp("database")
    database = EmbeddedDatabase(directory)
    await database.start()
    yield database
    await database.stop()
    shutil.rmtree(directory)


@pytest.fixture
def uri(server: EmbeddedDatabase) -> str:
    """A database of the test's own."""
    return f"mongodb://127.0.0.1:{server.port}/test_{uuid4().hex}?directConnection=true"


@pytest.fixture
def guard() -> Iterator[DocumentDbGuard]:
    """Fails the test when a command went out that DocumentDB 5.0 refuses."""
    guard = DocumentDbGuard()
    yield guard
    assert not guard.refused, f"DocumentDB 5.0 refuses: {guard.refused}"


@pytest.fixture
async def database(uri: str, guard: DocumentDbGuard) -> AsyncIterator[Database]:
    """The test's database, with its indexes, watched by the guard."""
    async with connect(uri, event_listeners=[guard]) as client:
        database = client.get_default_database()
        await create_indexes(database)
        guard.forget()
        yield database


@pytest.fixture
def claims(database: Database) -> Claims:
    return Claims(database)


@pytest.fixture
def players(database: Database, claims: Claims) -> PlayerStore:
    return PlayerStore(database, claims)


@pytest.fixture
def sessions(database: Database, claims: Claims, metrics: Metrics) -> SessionStore:
    return SessionStore(database, claims, metrics)


def with_state(app: ASGIApp, state: dict[str, object]) -> ASGIApp:
    """What a server does with the state that the lifespan yields."""

    async def stateful(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    return stateful


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def metrics(process: Process) -> Metrics:
    return process.metrics


@pytest.fixture
async def api(
    uri: str, database: Database, guard: DocumentDbGuard, process: Process
) -> AsyncIterator[httpx2.AsyncClient]:
    """The app, called in this process."""
    app = create_app(Settings(), uri, process, [guard])
    async with AsyncExitStack() as stack:
        state = await stack.enter_async_context(app.router.lifespan_context(app))
        transport = httpx2.ASGITransport(with_state(app, dict(state or {})))
        yield await stack.enter_async_context(
            httpx2.AsyncClient(transport=transport, base_url="http://game-api")
        )


class Lines(logging.Handler):
    """Keeps the lines that records become."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(("asyncio", "httpx2", "httpcore2")):  # the tests' own
            self.lines.append(self.format(record))

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]

    def access(self) -> list[dict[str, Any]]:
        return [entry for entry in self.entries if entry["logger"] == "game_api.access"]


@pytest.fixture
def log_lines() -> Iterator[Lines]:
    """The JSON lines that are logged in this process, from debug on."""
    handler = Lines()
    handler.setFormatter(LineFormatter(Redactor(Settings()), "pod-1"))
    root = logging.getLogger()
    level = root.level
    factory = logging.getLogRecordFactory()
    logging.setLogRecordFactory(stamped)
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)
    logging.setLogRecordFactory(factory)


@pytest.fixture
def start_service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts the service as a process; `start_service(GAME_API_X=...)`, ended with the test."""
    started: list[Service] = []

    def start(**environment: str) -> Service:
        environment = {"GAME_API_PORT": "0", "GAME_API_DATA_DIR": str(tmp_path / "data")} | (
            environment
        )
        started.append(Service(environment))
        return started[-1]

    yield start
    for service in started:
        service.kill()


@pytest.fixture
def service_database(uri: str) -> str:
    """The test's database with its indexes, for services that are processes."""

    async def prepare() -> None:
        async with connect(uri) as client:
            await create_indexes(client.get_default_database())

    asyncio.run(prepare())
    return uri
