"""Fixtures: both clients, for the service at GAME_API_URL and for a scripted server."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from game_api_client import AsyncGameApi
from tests.scripted_server import ScriptedServer
from tests.threaded import KINDS, new_api

NewApi = Callable[..., AsyncGameApi]


def pytest_configure() -> None:
    if not os.environ.get("GAME_API_URL"):
        raise pytest.UsageError("please set GAME_API_URL to the address of a running game-api")


@pytest.fixture(scope="session")
def url() -> str:
    """The address of the service."""
    return os.environ["GAME_API_URL"]


@pytest.fixture(scope="session")
def token() -> str | None:
    """A token of the role `admin`; None if the service does not need one."""
    return os.environ.get("GAME_API_TOKEN")


@pytest.fixture(params=KINDS)
def connect(request: pytest.FixtureRequest) -> NewApi:
    """Creates a client. Each test runs with the async client and with the sync one."""

    def create(url: str, **options: Any) -> AsyncGameApi:
        return new_api(request.param, url, **options)

    return create


@pytest.fixture
async def api(connect: NewApi, url: str, token: str | None) -> AsyncIterator[AsyncGameApi]:
    """A client for the service."""
    async with connect(url, token=token) as api:
        yield api


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


@pytest.fixture
async def scripted(connect: NewApi, server: ScriptedServer) -> AsyncIterator[AsyncGameApi]:
    """A client for the scripted server."""
    async with connect(server.url) as api:
        yield api


@pytest.fixture
def word() -> str:
    """A username or game mode that no other test uses."""
    return f"t{uuid.uuid4().hex[:20]}"
