"""The indexes that the models declare: their creation, and a check for the unique ones."""

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from odmantic import Model
from odmantic.index import ODMBaseIndex
from pymongo import IndexModel
from pymongo.errors import OperationFailure

from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.database.errors import is_unavailable

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
    some time after that moment.
    """
    for model in models:
        for index in model.__indexes__():
            if isinstance(index, ODMBaseIndex):
                index = index.get_pymongo_index()
            yield +model, dict(index.document)
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
            reason = await collision(database, collection, definition)
            failures.append(f"the index {name} can't be created: {reason or error.details}")
    if failures:
        raise IndexesFailed(created, failures)
    return created


async def collision(database: Database, collection: str, definition: dict[str, Any]) -> str | None:
    """A value that prevents a unique index, because several documents have it."""
    if not definition.get("unique"):
        return None
    (field,) = definition["key"]
    pipeline: list[dict[str, Any]] = [
        {"$group": {"_id": f"${field}", "count": {"$sum": 1}}},
        {"$match": {"count": {"$gt": 1}}},
        {"$limit": 1},
    ]
    async with await database[collection].aggregate(pipeline) as cursor:
        async for found in cursor:
            return f"{found['count']} documents have the {field} {found['_id']!r}"
    return None


class IndexCheck:
    """Checks whether the database has the unique indexes, on which correctness depends."""

    def __init__(self, connection: Connection, models: Sequence[type[Model]]) -> None:
        self._connection = connection
        self._models = models
        self._complete = False
        self._reported: str | None = None

    async def problem(self, patience: float) -> str | None:
        """A sentence that names a missing unique index; None if there are all of them.

        The result is kept once all indexes were found. Raises PyMongoError.
        """
        if self._complete:
            return None
        missing = await self._connection.run(self._missing, patience)
        self._complete = not missing
        problem = None
        if missing:
            problem = f"The unique index {missing[0]} is missing: run game-api create-indexes."
        if problem is not None and problem != self._reported:
            log.warning("this process is not ready: %s", problem)
        self._reported = problem
        return problem

    async def _missing(self, database: Database) -> list[str]:
        missing = []
        for collection, definition in declared(self._models):
            if definition.get("unique"):
                key = list(definition["key"].items())
                existing = (await database[collection].index_information()).values()
                if not any(i.get("unique") and list(i["key"]) == key for i in existing):
                    missing.append(f"{collection}.{definition['name']}")
        return missing
