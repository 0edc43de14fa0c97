"""The driver's client: its options, the connection string, and the type of a database."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import pymongo.lock
from pymongo import AsyncMongoClient, _csot
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError, WaitQueueTimeoutError
from pymongo.monitoring import CommandListener, ConnectionPoolListener
from pymongo.uri_parser import split_options

from game_api.settings import Settings, SettingsError

Result = TypeVar("Result")

if sys.version_info < (3, 12):

    async def wait_for(awaitable: Awaitable[Result], timeout: float | None) -> Result:
        """`asyncio.wait_for` as Python 3.12 implements it, for the driver.

        Python 3.11 waits in a separate task. If a request is cancelled at the moment when the
        driver's own wait for a server ends, that task acquires the client's lock after nobody
        is left to release it. The request then fails with a RuntimeError, and every later operation
        that has to select a server hangs.
        """
        async with asyncio.timeout(timeout):
            return await awaitable

    setattr(pymongo.lock, "wait_for", wait_for)

Document = dict[str, Any]
Database = AsyncDatabase[Document]
Client = AsyncMongoClient[Document]
Listener = CommandListener | ConnectionPoolListener
Command = Callable[[Database], Awaitable[Result]]
"""A call of the driver, or several calls that may be repeated as a whole."""

DEADLINE = 4.0
"""The number of seconds that a request may spend on the database in total; then it gets 503."""
GRACE = 0.5
"""The number of seconds after this deadline until a request is cancelled.

The deadline covers commands. The cancellation covers everything else, such as a slow DNS lookup."""

CREDENTIALS_SECONDS = 3.0
"""How many of these seconds a command may wait for credentials that the database accepts."""

OPTIONS: Mapping[str, Any] = {
    "appName": "game-api",
    "connectTimeoutMS": 3000,
    "maxConnecting": 2,
    # Databases, firewalls and load balancers close idle connections, often after five minutes. The
    # driver notices that only when it has sent a command, which must not be repeated if it inserts.
    "maxIdleTimeMS": 60_000,
    "maxPoolSize": 10,
    "retryWrites": False,  # DocumentDB does not support them; the stores retry what is safe.
    "serverSelectionTimeoutMS": 3000,
    "timeoutMS": int(DEADLINE * 1000),
    "w": "majority",
}
"""Default options; options in the connection string override them."""


def database_uri(settings: Settings) -> str:
    """The connection string for the database that the settings describe, if it is not embedded.

    It does not contain credentials that are kept in AWS Secrets Manager.
    """
    if settings.mongodb_uri is not None:
        return settings.mongodb_uri.get_secret_value()
    credentials = ""
    if settings.documentdb_username and settings.documentdb_password:
        password = settings.documentdb_password.get_secret_value()
        credentials = f"{quote(settings.documentdb_username, '')}:{quote(password, '')}@"
    return (
        f"mongodb://{credentials}{settings.documentdb_host}:{settings.documentdb_port}/"
        f"?tls=true&tlsCAFile={quote(str(settings.documentdb_ca_file))}"
        "&replicaSet=rs0&readPreference=primary"
    )


def connect(uri: str, **options: Any) -> Client:
    """A client for the database. It connects in the background when it is first used.

    Nothing is looked up here, not even a mongodb+srv:// name.
    """
    query = uri.partition("?")[2]
    given = {name.lower() for name in split_options(query)} if query else set()
    defaults = {name: value for name, value in OPTIONS.items() if name.lower() not in given}
    return AsyncMongoClient(uri, tz_aware=True, **{**defaults, **options})


class CachedDatabase(AsyncDatabase[Document]):
    """A database that makes each collection once; the driver makes one for each use of its name."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.client, database.name)
        self._collections: dict[str, AsyncCollection[Document]] = {}

    def __getitem__(self, name: str) -> AsyncCollection[Document]:
        collection = self._collections.get(name)
        if collection is None:
            collection = self._collections[name] = super().__getitem__(name)
        return collection


class Driver:
    """Runs commands on a client, not more of them at once than it may have connections.

    The driver makes a task for each command that waits for a connection, which costs more than the
    rest of the command.
    """

    def __init__(self, database: Database) -> None:
        self._database = CachedDatabase(database)
        limit = database.client.options.pool_options.max_pool_size  # Infinite for 0.
        self._connections = asyncio.Semaphore(int(min(limit or sys.maxsize, sys.maxsize)))

    async def run(self, command: Command[Result]) -> Result:
        """Run a command. Raises WaitQueueTimeoutError if no connection is free by its deadline."""
        if self._connections.locked():
            await self._wait()
        else:
            await self._connections.acquire()
        try:
            return await command(self._database)
        finally:
            self._connections.release()

    async def _wait(self) -> None:
        try:
            # The deadline that the driver knows covers only what the driver itself does.
            async with asyncio.timeout(_csot.remaining()):
                await self._connections.acquire()
        except TimeoutError:
            raise WaitQueueTimeoutError("all connections are in use") from None


def check_connection_options(settings: Settings) -> None:
    """Raises SettingsError if the driver rejects the settings. This opens no connection."""
    if settings.embedded:
        return
    try:
        client = connect(database_uri(settings), connect=False)
    except (PyMongoError, ValueError, OSError) as error:
        name = "MONGODB_URI" if settings.mongodb_uri else "DOCUMENTDB_HOST"
        raise SettingsError([f"GAME_API_{name}: {error}"]) from None
    if not client.write_concern.acknowledged:
        raise SettingsError(["GAME_API_MONGODB_URI: w=0 would leave writes unacknowledged"])
