"""The indexes that the models declare: their creation, and a check for the unique ones."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from odmantic import Model
from odmantic.index import ODMBaseIndex
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError, OperationFailure

from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.database.errors import is_unavailable
from game_api.values import INCARNATION

log = logging.getLogger(__name__)


class IndexesFailed(Exception):
    """Some indexes could not be created; all others were.

    `created` has the names of the indexes that exist, `failures` one sentence for each other one.
    """

    def __init__(self, created: list[str], failures: list[str]) -> None:
        self.created = created
        self.failures = failures
        super().__init__("; ".join(failures))


def declared(models: Sequence[type[Model]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The collection and the definition of each index that the models declare.

    A model with the field `purge_at` also gets a TTL index: the database removes its documents
    some time after that moment. A model with the field `creation` also gets a unique index, so that
    only one of the attempts of a creation can succeed. It is sparse, because documents of earlier
    versions have no incarnation.
    """
    for model in models:
        for index in model.__indexes__():
            if isinstance(index, ODMBaseIndex):
                index = index.get_pymongo_index()
            yield +model, dict(index.document)
        if "creation" in model.model_fields:
            birth = IndexModel([(INCARNATION, 1)], name=INCARNATION, unique=True, sparse=True)
            yield +model, dict(birth.document)
        if "purge_at" in model.model_fields:
            ttl = IndexModel([("purge_at", 1)], name="purge", expireAfterSeconds=0)
            yield +model, dict(ttl.document)


async def create_indexes(database: Database, models: Sequence[type[Model]]) -> list[str]:
    """Create the indexes of these models; existing ones are left unchanged.

    Returns their names as `collection.index`. Raises IndexesFailed if some can't be created.
    """
    created: list[str] = []
    failures: list[str] = []
    for collection, definition in declared(models):
        name = f"{collection}.{definition['name']}"
        options = {key: value for key, value in definition.items() if key != "key"}
        index = IndexModel(list(definition["key"].items()), **options)
        try:
            await database[collection].create_indexes([index])
            created.append(name)
        except OperationFailure as error:
            if is_unavailable(error):
                raise
            reason = (error.details or {}).get("errmsg", type(error).__name__)
            if isinstance(error, DuplicateKeyError):
                reason = await collision(database, collection, definition) or reason
            failures.append(f"the index {name} can't be created: {reason}")
    if failures:
        raise IndexesFailed(created, failures)
    return created


async def collision(database: Database, collection: str, definition: dict[str, Any]) -> str | None:
    """A value that prevents a unique index, because several documents have it."""
    fields = list(definition["key"])
    pipeline: list[dict[str, Any]] = [
        {"$match": definition.get("partialFilterExpression", {})},
        # The fields are numbered, because the name of a field may contain a dot.
        {"$group": {"_id": {str(n): f"${f}" for n, f in enumerate(fields)}, "count": {"$sum": 1}}},
        {"$match": {"count": {"$gt": 1}}},
        {"$limit": 1},
    ]
    async with await database[collection].aggregate(pipeline) as cursor:
        async for found in cursor:
            values = [found["_id"].get(str(n)) for n in range(len(fields))]
            value = " and ".join(f"the {f} {v!r}" for f, v in zip(fields, values, strict=True))
            return f"{found['count']} documents have {value}"
    return None


class IndexCheck:
    """Checks whether the database has the unique indexes, on which correctness depends."""

    def __init__(self, connection: Connection, models: Sequence[type[Model]]) -> None:
        self._connection = connection
        self._models = models
        self._complete = False
        self._reported: str | None = None

    async def problem(self, patience: float) -> str | None:
        """A sentence that names the missing unique indexes; None if there are all of them.

        The result is kept once all indexes were found. Raises PyMongoError.
        """
        if self._complete:
            return None
        missing = await self._connection.run("listIndexes", self._missing, patience)
        self._complete = not missing
        problem = None
        if missing:
            subject = "index {} is" if len(missing) == 1 else "indexes {} are"
            names = subject.format(", ".join(missing))
            problem = f"The unique {names} missing: run game-api create-indexes."
        if problem is not None and problem != self._reported:
            log.warning("this process is not ready: %s", problem)
        self._reported = problem
        return problem

    async def _missing(self, database: Database) -> list[str]:
        needed: dict[str, list[dict[str, Any]]] = {}
        for collection, definition in declared(self._models):
            if definition.get("unique"):
                needed.setdefault(collection, []).append(definition)
        missing = []
        for collection, definitions in needed.items():
            existing = (await database[collection].index_information()).values()
            for definition in definitions:
                if not any(covers(index, definition) for index in existing):
                    missing.append(f"{collection}.{definition['name']}")
        return missing


def covers(index: Mapping[str, Any], definition: Mapping[str, Any]) -> bool:
    """Whether an existing index, whatever its name, makes the same documents unique."""
    same = ("sparse", "partialFilterExpression")
    return (
        bool(index.get("unique"))
        and list(index["key"]) == list(definition["key"].items())
        and all(index.get(option) == definition.get(option) for option in same)
    )
