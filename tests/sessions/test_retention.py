"""Retention: ended sessions are kept for a limited time."""

from datetime import timedelta
from typing import Any, cast

import pytest
from pymongo.errors import OperationFailure

from game_api.access.caller import SYSTEM
from game_api.app import prepare_database
from game_api.clock import utc_now
from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.database.indexes import IndexesFailed
from game_api.observability.metrics import Metrics
from game_api.seats.claims import TOMBSTONE_LIFETIME, Claims
from game_api.sessions.errors import SessionNotFound
from game_api.sessions.filters import SessionFilter
from game_api.sessions.store import RETENTION, SessionStore, schedule_purges
from game_api.settings import Settings
from tests.build import LATER, a_session
from tests.database.collections import InterceptedDatabase
from tests.sessions.checks import stored


async def test_an_ended_session_gets_a_time_after_which_it_may_be_removed(
    database: Database, connection: Connection, claims: Claims
) -> None:
    sessions = SessionStore(connection, claims, Metrics(), timedelta(hours=1))
    await sessions.create(a_session())
    await sessions.change("s", lambda s: s.change({"name": "x"}, SYSTEM, LATER))
    document = await database.sessions.find_one({"_id": "s"})
    assert document and document["purge_at"] is None
    await sessions.change("s", lambda s: s.change({"status": "cancelled"}, SYSTEM, LATER))
    document = await database.sessions.find_one({"_id": "s"})
    assert document and document["purge_at"] == document["ended_at"] + timedelta(hours=1)


async def test_a_session_is_gone_when_its_time_has_come(
    database: Database, sessions: SessionStore
) -> None:
    """The database removes it only some time later."""
    await sessions.create(a_session(status="ended"))
    await sessions.create(a_session(id="t", status="ended"))
    past, future = utc_now() - timedelta(seconds=1), utc_now() + timedelta(minutes=1)
    await database.sessions.update_one({"_id": "s"}, {"$set": {"purge_at": past}})
    await database.sessions.update_one({"_id": "t"}, {"$set": {"purge_at": future}})
    with pytest.raises(SessionNotFound):
        await stored(sessions, "s")
    with pytest.raises(SessionNotFound):
        await sessions.change("s", lambda s: s.leave("ada", SYSTEM, LATER))
    listed = await sessions.list(SessionFilter(status=("ended",)), 10)
    assert [document["_id"] for document in listed] == ["t"]


async def test_documents_of_earlier_versions_expire_as_well(
    database: Database, sessions: SessionStore
) -> None:
    await sessions.create(a_session())
    await sessions.create(a_session(id="over", status="ended"))
    await database.sessions.update_many({}, {"$unset": {"purge_at": ""}})
    await database.sessions.insert_one({"_id": "tombstone", "revision": 1})
    before = utc_now()
    for _ in range(2):  # A repetition does not extend the time.
        await schedule_purges(database, RETENTION)
    after = utc_now()
    purges: dict[str, Any] = {
        doc["_id"]: doc.get("purge_at") async for doc in database.sessions.find()
    }
    assert purges["s"] is None
    assert before + RETENTION <= purges["over"] <= after + RETENTION
    assert before <= purges["tombstone"] - TOMBSTONE_LIFETIME <= after


async def test_the_indexes_are_created_before_the_purges_are_scheduled(
    database: Database,
) -> None:
    """So a failure of the purges does not leave the service without its unique indexes."""
    await database.players.drop_indexes()

    async def update_many(collection: Any, *arguments: Any, **options: Any) -> Any:
        raise OperationFailure("the document is too large", 17280)

    failing = InterceptedDatabase(database, {"sessions": {"update_many": update_many}})
    with pytest.raises(OperationFailure):
        await prepare_database(cast(Database, failing), Settings())
    assert "username_key" in await database.players.index_information()


async def test_the_purges_are_scheduled_even_if_an_index_can_not_be_created(
    database: Database, sessions: SessionStore
) -> None:
    await database.players.drop_indexes()
    await database.players.insert_many([{"_id": n, "username_key": "zed"} for n in range(2)])
    await sessions.create(a_session(status="ended"))
    await database.sessions.update_many({}, {"$unset": {"purge_at": ""}})
    with pytest.raises(IndexesFailed):
        await prepare_database(database, Settings())
    session = await database.sessions.find_one({})
    assert session is not None and session["purge_at"] is not None
