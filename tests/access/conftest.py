"""Fixtures: the app with authentication."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from game_api.app import create_app
from game_api.database.client import Database
from game_api.runtime import Runtime
from game_api.settings import Settings
from tests.access.minting import SECRET
from tests.apps import running
from tests.documentdb import DocumentDbGuard


@pytest.fixture
def jwt_settings() -> Settings:
    """Settings under which requests need a token, without limits."""
    return Settings.model_validate(
        {"auth": "jwt", "jwt_secret": SECRET, "rate_limit": "off", "auth_failure_limit": "off"}
    )


@pytest.fixture
async def guarded(
    uri: str, database: Database, guard: DocumentDbGuard, jwt_settings: Settings
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the app, which requires tokens."""
    async with running(create_app(Runtime(jwt_settings), uri, [guard])) as app:
        yield app.client
