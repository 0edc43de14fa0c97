"""A connection whose commands can be intercepted, to inject faults at the edge of the system."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, cast

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import AutoReconnect

from game_api.database.client import CREDENTIALS_SECONDS, Command, Database, Document, Result
from game_api.database.connection import Connection

Method = Callable[..., Any]
Methods = Mapping[str, Method]
"""Replacements for methods of a collection; each is called with the real collection first."""


class Collections:
    """A connection on which methods of some collections are replaced, by collection name."""

    def __init__(self, connection: Connection, **replaced: Methods) -> None:
        self._connection = connection
        self._replaced = replaced

    async def run(
        self, name: str, command: Command[Result], patience: float = CREDENTIALS_SECONDS
    ) -> Result:
        return await self._connection.run(
            name,
            lambda database: command(cast(Database, InterceptedDatabase(database, self._replaced))),
            patience,
        )


class InterceptedDatabase:
    """A database with replaced methods in some of its collections."""

    def __init__(self, database: Database, replaced: Mapping[str, Methods]) -> None:
        self._database = database
        self._replaced = replaced

    def __getitem__(self, name: str) -> "InterceptedCollection":
        return InterceptedCollection(self._database[name], self._replaced.get(name, {}))


class InterceptedCollection:
    """A collection with replaced methods."""

    def __init__(self, collection: AsyncCollection[Document], methods: Methods) -> None:
        self._collection = collection
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        if name in self._methods:
            return partial(self._methods[name], self._collection)
        return getattr(self._collection, name)


class LostResponse:
    """Loses the response to the first call of a method, because the connection breaks.

    If `before` is set, the connection breaks before the write arrives; `deliver` lets it arrive
    late. `then` runs before the next `find_one`, and stands for what another process does in the
    meantime.
    """

    def __init__(
        self,
        method: str,
        before: bool = False,
        then: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        self._before = before
        self._lost = False
        self._then = then
        self._method = method
        self._late: Callable[[], Awaitable[Any]] | None = None
        self.methods: Methods = {method: self._call, "find_one": self._find_one}

    async def deliver(self) -> None:
        """Let the write arrive that was on its way when the connection broke."""
        assert self._late is not None
        await self._late()

    async def _call(self, collection: Any, *arguments: Any, **options: Any) -> Any:
        call = getattr(collection, self._method)
        if self._lost:
            return await call(*arguments, **options)
        self._lost = True
        if self._before:
            self._late = lambda: call(*arguments, **options)
        else:
            await call(*arguments, **options)
        raise AutoReconnect("connection reset by peer")

    async def _find_one(self, collection: Any, *arguments: Any, **options: Any) -> Any:
        if self._lost and self._then is not None:
            then, self._then = self._then, None
            await then()
        return await collection.find_one(*arguments, **options)
