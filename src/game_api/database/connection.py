"""The connection to the database, on which the stores run their commands.

The stores hold a connection and never a client, because the client is replaced when the password is
rotated (see `rotation`).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from contextvars import Context
from typing import Literal, Protocol

from pymongo.errors import DuplicateKeyError, PyMongoError

from game_api.database.client import (
    CREDENTIALS_SECONDS,
    Client,
    Command,
    Database,
    Document,
    Listener,
    Result,
    connect,
    Driver,
)
from game_api.database.errors import OUTCOME_UNKNOWN, LookupFailed
from game_api.errors import DatabaseUnavailable
from game_api.settings import Settings
from game_api.values import INCARNATION

Insertion = Literal["inserted", "found", "refused"]


class Connection(Protocol):
    """Access to the database; commands always use the current client."""

    async def run(
        self, name: str, command: Command[Result], patience: float = CREDENTIALS_SECONDS
    ) -> Result:
        """Run a command, which may wait `patience` seconds for credentials or for DNS.

        `name` is what the database calls the command, for the metrics.
        """
        ...


class Monitor(Protocol):
    """Is told of each command, which the driver's own listeners would make much slower."""

    def started(self) -> None: ...

    def ended(self, name: str, seconds: float) -> None:
        """A command has ended, with whatever result."""
        ...


class MonitoredConnection:
    """A connection that tells a monitor of each command."""

    def __init__(self, connection: Connection, monitor: Monitor) -> None:
        self._connection = connection
        self._monitor = monitor

    async def run(
        self, name: str, command: Command[Result], patience: float = CREDENTIALS_SECONDS
    ) -> Result:
        self._monitor.started()
        started = time.perf_counter()
        try:
            return await self._connection.run(name, command, patience)
        finally:
            self._monitor.ended(name, time.perf_counter() - started)


class FixedConnection:
    """A connection with one client, whose credentials never change."""

    def __init__(self, database: Database) -> None:
        self._driver = Driver(database)

    async def run(
        self, name: str, command: Command[Result], patience: float = CREDENTIALS_SECONDS
    ) -> Result:
        return await self._driver.run(command)


class LookupConnection:
    """A connection to a mongodb+srv:// name, which is resolved before the first command.

    The driver would resolve it in each command that runs before that has succeeded, without regard
    to the deadline of the command, and open as many connection pools as have succeeded at once.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self._driver = Driver(client.get_default_database(name))
        self._lookup: asyncio.Task[None] | None = None

    async def run(
        self, name: str, command: Command[Result], patience: float = CREDENTIALS_SECONDS
    ) -> Result:
        """Run a command. Raises LookupFailed if the name isn't resolved within `patience` seconds.

        The next command resolves it again.
        """
        lookup = self._lookup
        if lookup is None or (lookup.done() and (lookup.cancelled() or lookup.exception())):
            # An empty context, so that the task does not inherit the deadline of a single request.
            lookup = asyncio.create_task(self._client.aconnect(), context=Context())
            self._lookup = lookup
        if not lookup.done():
            await asyncio.wait([lookup], timeout=patience)
        if not lookup.done():
            raise LookupFailed("the name is still being resolved")
        try:
            lookup.result()
        except (PyMongoError, OSError) as error:
            raise LookupFailed(str(error)) from error
        return await self._driver.run(command)

    async def aclose(self) -> None:
        if self._lookup is not None:
            self._lookup.cancel()
            await asyncio.gather(self._lookup, return_exceptions=True)


@asynccontextmanager
async def open_connection(
    settings: Settings,
    uri: str,
    redact: Callable[[str], None],
    listeners: Sequence[Listener] = (),
) -> AsyncIterator[Connection]:
    """The connection that the settings describe.

    `redact` is called with each password before it is used. `listeners` receive the events of the
    driver; each makes every command slower.
    """
    if settings.documentdb_secret_arn is None:
        async with connect(uri, event_listeners=listeners) as client:
            if not uri.startswith("mongodb+srv://"):
                yield FixedConnection(client.get_default_database(settings.database))
                return
            async with aclosing(LookupConnection(client, settings.database)) as connection:
                yield connection
        return
    # These modules import the AWS SDK, which takes a third of a second and 30 MB of memory.
    from game_api.database.credentials import Secret
    from game_api.database.rotation import RotatingConnection

    secret = Secret(settings.documentdb_secret_arn, redact)
    async with RotatingConnection(uri, settings.database, secret, listeners) as connection:
        yield connection


async def insert(connection: Connection, collection: str, document: Document) -> Insertion:
    """Insert a document, and return how that ended.

    It is `refused` if another document has the same `_id` or the same unique key. It is `found` if
    the response was lost, and the document is there. Raises DatabaseUnavailable if it can't be
    determined whether the document was inserted. The insertion is never repeated: by then another
    process may have deleted the document, and the repetition would bring it back.
    """
    try:
        await connection.run("insert", lambda database: database[collection].insert_one(document))
        return "inserted"
    except DuplicateKeyError:
        return "refused"
    except OUTCOME_UNKNOWN:
        pass
    identity = {"_id": document["_id"], INCARNATION: document[INCARNATION]}
    found = await connection.run("find", lambda database: database[collection].find_one(identity))
    if found is None:
        raise DatabaseUnavailable()
    return "found"
