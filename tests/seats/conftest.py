"""Fixtures: sessions that compete for players, and a writer that stops."""

import pytest

from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.seats.claims import Claims
from game_api.sessions.store import SessionStore
from tests.build import a_player, a_session
from tests.seats.writers import StoppedWriter


@pytest.fixture
async def prepared(database: Database, sessions: SessionStore) -> Database:
    """A database with two players without a seat, and with sessions `a` and `b`."""
    for name in ("ada", "bob"):
        await database.players.insert_one(a_player(name).model_dump_doc())
    for session_id in ("a", "b"):
        await sessions.create(a_session(id=session_id))
    return database


@pytest.fixture
async def stopped(prepared: Database, connection: Connection, claims: Claims) -> StoppedWriter:
    """A writer that has claimed `ada` for session `a`, and has not written yet."""
    writer = StoppedWriter(connection, claims, "ada")
    await writer.load_and_claim()
    return writer
