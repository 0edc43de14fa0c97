"""The guard that detects commands which DocumentDB does not support."""

from collections.abc import Awaitable

from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from game_api.database.client import connect
from tests.documentdb import DocumentDbGuard, refusals


async def test_the_guard_detects_unsupported_commands(uri: str) -> None:
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
                pass  # The embedded database refuses some of these as well.
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


def test_the_guard_detects_retryable_writes_and_causal_consistency() -> None:
    assert list(refusals("insert", {"insert": "x", "txnNumber": 1})) == ["insert: retryable write"]
    assert list(refusals("find", {"find": "x", "readConcern": {"afterClusterTime": 1}}))
