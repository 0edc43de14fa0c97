"""Indexes, and the guard that keeps DocumentDB's refusals out of the code."""

import asyncio
from collections.abc import Awaitable

import pymongo.lock
import pytest
from pymongo import DESCENDING, UpdateOne
from pymongo.errors import DuplicateKeyError, PyMongoError

from game_api.database import Database, connect, create_indexes
from tests.build import a_player
from tests.documentdb import DocumentDbGuard, refusals


async def test_indexes_are_those_that_the_models_declare(database: Database) -> None:
    names = await create_indexes(database)
    assert names == [
        "players.username_key",
        "sessions.newest",
        "sessions.by_status_and_mode",
        "sessions.by_host",
        "sessions.by_status",
    ]
    players = await database.players.index_information()
    assert players["username_key"]["unique"]
    sessions = await database.sessions.index_information()
    assert sessions["newest"]["key"] == [("visibility", 1), ("_id", DESCENDING)]
    assert set(sessions) == {"_id_", "newest", "by_status_and_mode", "by_host", "by_status"}


async def test_creating_indexes_again_changes_nothing(database: Database) -> None:
    await database.players.insert_one(a_player("ada").model_dump_doc())
    before = await database.players.index_information()
    await create_indexes(database)
    assert await database.players.index_information() == before
    with pytest.raises(DuplicateKeyError):
        await database.players.insert_one(a_player("bob", username_key="ada").model_dump_doc())


async def test_the_guard_sees_what_documentdb_refuses(uri: str) -> None:
    guard = DocumentDbGuard()
    async with connect(uri, event_listeners=[guard]) as client:
        collection = client.get_default_database().things
        await collection.insert_one({"_id": 1})
        await collection.find_one({"_id": 1})
        assert guard.refused == []

        async def refused(command: Awaitable[object]) -> list[str]:
            guard.refused.clear()
            try:
                await command
            except PyMongoError:
                pass  # the embedded database refuses some of these as well
            return guard.refused

        assert await refused(collection.update_one({}, [{"$set": {"a": 1}}]))
        assert await refused(collection.bulk_write([UpdateOne({}, [{"$set": {"a": 1}}])]))
        assert await refused(collection.find_one_and_update({}, [{"$set": {"a": 1}}]))
        assert await refused(collection.aggregate([{"$set": {"a": 1}}]))
        assert await refused(collection.aggregate([{"$facet": {}}]))
        lookup = {"from": "x", "let": {}, "pipeline": [], "as": "y"}
        assert await refused(collection.aggregate([{"$lookup": lookup}]))
        assert await refused(collection.create_index([("a", "hashed")]))
        assert await refused(collection.find_one({}, collation={"locale": "en"}))


def test_the_guard_sees_retryable_writes_and_causal_consistency() -> None:
    assert list(refusals("insert", {"insert": "x", "txnNumber": 1})) == ["insert: retryable write"]
    assert list(refusals("find", {"find": "x", "readConcern": {"afterClusterTime": 1}}))


async def test_a_deadline_during_the_drivers_own_wait_leaves_its_lock_alone() -> None:
    lock = pymongo.lock._async_create_lock()
    condition = pymongo.lock._async_create_condition(lock)

    async def wait_for_a_server() -> None:
        async with lock:
            await pymongo.lock._async_cond_wait(condition, 0.02)

    waiting = asyncio.create_task(wait_for_a_server())
    await asyncio.sleep(0.01)
    async with lock:
        await asyncio.sleep(0.03)  # its wait is over, and it wants the lock again
        waiting.cancel()
        await asyncio.sleep(0.01)
        assert not waiting.done()  # it would give back the lock, which is ours
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    assert not lock.locked()
