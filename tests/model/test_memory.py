"""The database in memory returns and raises what a real one does, and holds the same documents."""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from game_api.app import MODELS
from game_api.database.client import Database
from game_api.database.indexes import declared
from tests.build import NOW
from tests.model.memory import UNIQUE, Memory, MemoryConnection

OPERATIONS = 600
IDS = ("a", "b", "c")
NAMES = ("x", "y", "z")
TOKENS = ("t1", "t2", None)


class Source:
    """A source of random operations on a few documents."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def pick(self, *choices: Any) -> Any:
        return self._random.choice(choices)

    def some(self, choices: tuple[Any, ...]) -> list[Any]:
        return self._random.sample(choices, self._random.randint(0, len(choices)))

    def fields(self) -> dict[str, Any]:
        fields = {
            "username_key": self.pick(*NAMES),
            "claim": self.pick(*TOKENS),
            "revision": self.pick(1, 2, 3, 2.0, True),
            "purge_at": NOW + timedelta(seconds=self.pick(0, 1)),
            "members": [
                {"player_id": player_id, "ready": self.pick(True, False)}
                for player_id in self.some(IDS)
            ],
            "server": self.pick(None, {"port": 1}, {"port": 2}),
        }
        return {name: fields[name] for name in fields if self.pick(True, True, False)}

    def document(self, document_id: str) -> dict[str, Any]:
        return {"_id": document_id, "username_key": self.pick(*NAMES), **self.fields()}

    def condition(self) -> dict[str, Any]:
        name = self.pick("claim", "revision", "members.player_id", "server.port", "purge_at")
        value = {
            "claim": self.pick(*TOKENS),
            "revision": self.pick(1, 2, 3),
            "members.player_id": self.pick(*IDS),
            "server.port": self.pick(1, 2),
            "purge_at": NOW,
        }[name]
        operator = self.pick("", "", "$eq", "$ne", "$in", "$nin", "$exists", "$gt", "$lte")
        if operator in ("$gt", "$lte") and value is None:
            operator = "$eq"
        given = {"$in": [value], "$nin": [value, "t1"], "$exists": self.pick(True, False)}
        return {name: value if operator == "" else {operator: given.get(operator, value)}}

    def query(self) -> dict[str, Any]:
        return {"_id": self.pick(*IDS), **self.pick({}, self.condition())}

    def upsert_query(self) -> dict[str, Any]:
        unseated = {self.pick("$ne", "$nin"): self.pick(*IDS)}
        if "$nin" in unseated:
            unseated = {"$nin": self.some(IDS)}
        conditions: tuple[dict[str, Any], ...] = (
            {},
            {"members.player_id": unseated},
            {"claim": self.pick(*TOKENS)},
        )
        return {"_id": self.pick(*IDS), **self.pick(*conditions)}

    def update(self) -> dict[str, Any]:
        changes: dict[str, dict[str, Any]] = {
            "$set": self.fields() | self.pick({}, {"attributes.level": self.pick(1, 2)}),
            "$inc": {"version": self.pick(1, 2)},
            "$setOnInsert": {"birth": self.pick("t1", "t2")},
            "$unset": {"score": "", "attributes.level": ""},
        }
        chosen = {name: changes[name] for name in self.some(tuple(changes)) if changes[name]}
        if "$set" in chosen and "$unset" in chosen:
            del chosen["$unset"]  # They would conflict.
        return chosen or {"$inc": {"version": 1}}


Call = Callable[[Any], Any]


def random_call(source: Source) -> tuple[str, Call]:
    """A call of a method of a collection, and a description of it."""
    query, update = source.query(), source.update()
    match source.pick("insert", "update", "update", "replace", "delete", "bulk", "one", "many"):
        case "insert":
            document = source.document(source.pick(*IDS))
            return f"insert {document}", lambda c: c.insert_one(dict(document))
        case "update":
            upsert = source.pick(True, False)
            if upsert:
                query = source.upsert_query()
            return (
                f"update {query} {update} upsert={upsert}",
                lambda c: c.update_one(query, update, upsert=upsert),
            )
        case "replace":
            document = source.document(query["_id"])
            return f"replace {query} {document}", lambda c: c.replace_one(query, dict(document))
        case "delete":
            return f"delete {query}", lambda c: c.delete_one(query)
        case "bulk":
            updates = [UpdateOne(source.query(), {"$inc": {"version": 1}}) for _ in range(3)]
            return f"bulk {updates}", lambda c: c.bulk_write(updates, ordered=False)
        case "one":
            projection = source.pick(None, {"claim": 1, "members.player_id": 1, "server.port": 1})
            return f"find one {query} {projection}", lambda c: c.find_one(query, projection)
    many = source.pick({"_id": {"$in": source.some(IDS)}}, {"_id": {"$gt": "a"}}, {})
    condition = source.pick({}, source.condition())
    if source.pick(True, False):
        order = [("_id", source.pick(1, -1))]
        return f"list {many}", lambda c: c.find(many, sort=order, limit=2, batch_size=3).to_list()
    projection = {"claim": 1, "revision": 1}
    return (
        f"find {many} {condition}",
        lambda c: c.find(many | condition, projection, batch_size=4).to_list(),
    )


async def outcome(call: Call, collection: Any) -> Any:
    """The result of a call in a form that can be compared."""
    try:
        result = await call(collection)
    except DuplicateKeyError as error:
        return "duplicate", error.code  # With two duplicates, either index may be named.
    if isinstance(result, list):
        return sorted(result, key=lambda document: str(document["_id"]))
    if result is None or isinstance(result, dict):
        return result
    names = ("inserted_id", "matched_count", "modified_count", "upserted_id", "deleted_count")
    return type(result).__name__, {
        name: getattr(result, name) for name in names if hasattr(result, name)
    }


async def test_random_operations_have_the_same_results_as_on_a_real_database(
    database: Database,
) -> None:
    source = Source(seed=13)
    memory = Memory()
    connection = MemoryConnection(memory.execute)
    for _ in range(OPERATIONS):
        description, call = random_call(source)
        expected = await outcome(call, database.players)
        assert await outcome(call, connection["players"]) == expected, description
        documents = await database.players.find(sort=[("_id", 1)]).to_list()
        assert memory.contents.collection("players") == documents, description


async def test_a_duplicate_names_the_index_as_a_real_database_does(database: Database) -> None:
    connection = MemoryConnection(Memory().execute)
    for players in (database.players, connection["players"]):
        await players.insert_one({"_id": "a", "username_key": "x", "birth": "t1"})
        for document, field in (
            ({"_id": "a", "username_key": "y", "birth": "t2"}, "_id"),
            ({"_id": "b", "username_key": "x", "birth": "t2"}, "username_key"),
            ({"_id": "b", "username_key": "y", "birth": "t1"}, "birth"),
        ):
            with pytest.raises(DuplicateKeyError) as raised:
                await players.insert_one(document)
            details = raised.value.details
            assert details and details["keyPattern"] == {field: 1}
            assert details["keyValue"] == {field: document[field]}


def test_the_unique_indexes_are_those_of_the_models() -> None:
    unique: dict[str, list[str]] = {+model: [] for model in MODELS}
    for collection, definition in declared(MODELS):
        if definition.get("unique"):
            unique[collection] += definition["key"]
    assert unique == UNIQUE
