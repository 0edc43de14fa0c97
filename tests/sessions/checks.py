"""Players, joins and invariants for the tests of session stores."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from game_api.access.caller import SYSTEM
from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.observability.metrics import Metrics
from game_api.seats.claims import STALE_SECONDS, Claims
from game_api.sessions.model import Session
from game_api.sessions.rounds import Change, Round, Rule
from game_api.sessions.store import RETENTION, SessionStore
from tests.build import LATER, a_player


def a_round(connection: Connection, claims: Claims, session_id: str, *rules: Rule[Any]) -> Round:
    """A round of these rules, whose steps the test calls itself."""
    loop = asyncio.get_running_loop()
    changes = [Change(rule, loop.create_future()) for rule in rules]
    return Round(connection, claims, Metrics(), RETENTION, session_id, changes)


def stale_token() -> str:
    """The token of a claim whose request has ended long ago."""
    milliseconds = int((time.time() - 2 * STALE_SECONDS) * 1000)
    return f"{milliseconds:012x}7{uuid4().hex[13:]}"


async def add_players(database: Database, count: int, prefix: str = "p") -> list[str]:
    """Insert this number of players; returns their ids."""
    names = [f"{prefix}{number}" for number in range(count)]
    await database.players.insert_many([a_player(name).model_dump_doc() for name in names])
    return names


def joins(store: SessionStore, session_id: str, players: Iterable[str]) -> Any:
    """All players join at once, each with a change of its own; returns results and errors."""

    def join(player: str) -> Any:
        return store.change(session_id, lambda s: s.join([player], None, SYSTEM, LATER))

    return asyncio.gather(*map(join, players), return_exceptions=True)


async def assert_consistent(database: Database) -> None:
    """Assert the invariants that hold whenever no change is in progress."""
    claims = {doc["_id"]: doc["session_id"] async for doc in database.players.find()}
    seats: dict[str, str] = {}
    async for document in database.sessions.find({"version": {"$exists": True}}):
        session = Session.model_validate_doc(document)
        names = [m.player_id for m in session.members]
        assert len(names) == len(set(names)) <= session.max_players
        assert session.free_slots == session.max_players - len(names)
        for name in names if session.live else ():
            assert name not in seats, f"{name} has seats in {seats[name]} and {session.id}"
            seats[name] = session.id
            assert claims[name] == session.id


async def stored(sessions: SessionStore, session_id: str) -> Session:
    """The session in the database. Raises SessionNotFound."""
    return Session.model_validate_doc((await sessions.find(session_id)).document)
