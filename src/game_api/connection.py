"""The connection to the database: whatever runs on it finds the client of the moment.

The stores hold a connection's collections and never a client, so that a client can be replaced
under them (see `rotation`).
"""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.results import BulkWriteResult, DeleteResult, InsertOneResult, UpdateResult

from game_api.database import Database, Document, connect
from game_api.logs import Logs
from game_api.settings import Settings

Result = TypeVar("Result")
Command = Callable[[Database], Awaitable[Result]]

PATIENCE = 3.0
"""Seconds that a command may wait for credentials; then one is left of its deadline."""


class Connection:
    """The database by one client, whose credentials stay what they are.

    `connection[name]` is a collection for the stores; `run` is for everything else.
    """

    def __init__(self, uri: str, name: str, **options: Any) -> None:
        self._uri = uri
        self._name = name
        self._options = options

    async def __aenter__(self) -> Self:
        self._client = connect(self._uri, **self._options)
        self._database = self._client.get_default_database(self._name)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.close()

    def __getitem__(self, name: str) -> "CurrentCollection":
        return CurrentCollection(self, name)

    async def run(self, command: Command[Result], patience: float = PATIENCE) -> Result:
        """Run a command: a call of the driver's, or several that may be repeated as a whole.

        `patience` is how many seconds it may wait for credentials.
        """
        return await command(self._database)


class CurrentCollection:
    """A collection on the connection's current client."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._name = name

    async def _run(
        self, command: Callable[[AsyncCollection[Document]], Awaitable[Result]]
    ) -> Result:
        return await self._connection.run(lambda database: command(database[self._name]))

    async def find_one(self, *arguments: Any, **options: Any) -> Document | None:
        return await self._run(lambda c: c.find_one(*arguments, **options))

    def find(self, *arguments: Any, **options: Any) -> "Query":
        return Query(lambda: self._run(lambda c: c.find(*arguments, **options).to_list()))

    async def aggregate(self, *arguments: Any, **options: Any) -> "Query":
        async def all_of(collection: AsyncCollection[Document]) -> list[Document]:
            async with await collection.aggregate(*arguments, **options) as cursor:
                return await cursor.to_list()

        return Query(lambda: self._run(all_of))

    async def insert_one(self, *arguments: Any, **options: Any) -> InsertOneResult:
        return await self._run(lambda c: c.insert_one(*arguments, **options))

    async def update_one(self, *arguments: Any, **options: Any) -> UpdateResult:
        return await self._run(lambda c: c.update_one(*arguments, **options))

    async def replace_one(self, *arguments: Any, **options: Any) -> UpdateResult:
        return await self._run(lambda c: c.replace_one(*arguments, **options))

    async def delete_one(self, *arguments: Any, **options: Any) -> DeleteResult:
        return await self._run(lambda c: c.delete_one(*arguments, **options))

    async def bulk_write(self, *arguments: Any, **options: Any) -> BulkWriteResult:
        return await self._run(lambda c: c.bulk_write(*arguments, **options))


class Query:
    """A query that runs, from its first document to its last, when it is asked for its list.

    So no cursor outlives its client, and one that is refused halfway begins anew.
    """

    def __init__(self, run: Callable[[], Awaitable[list[Document]]]) -> None:
        self._run = run

    async def to_list(self) -> list[Document]:
        return await self._run()


def connection(settings: Settings, uri: str, logs: Logs, **options: Any) -> Connection:
    """The connection that the settings describe; `options` are the driver's."""
    if settings.documentdb_secret_arn is None:
        return Connection(uri, settings.database, **options)
    # The AWS SDK costs a third of a second and 30 MB: only those who use it pay for it.
    from game_api.credentials import Secret
    from game_api.rotation import RotatingConnection

    secret = Secret(settings.documentdb_secret_arn, logs.hide)
    return RotatingConnection(uri, settings.database, secret, **options)
