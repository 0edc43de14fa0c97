"""The connection to the database, on which the stores run their commands.

The stores hold a connection and never a client, because the client is replaced when the password is
rotated (see `rotation`).
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from pymongo.errors import DuplicateKeyError

from game_api.database.client import (
    CREDENTIALS_SECONDS,
    Command,
    Database,
    Document,
    Listener,
    Result,
    connect,
)
from game_api.database.errors import OUTCOME_UNKNOWN
from game_api.errors import DatabaseUnavailable
from game_api.settings import Settings
from game_api.values import INCARNATION


class Connection(Protocol):
    """Access to the database; commands always use the current client."""

    async def run(self, command: Command[Result], patience: float = CREDENTIALS_SECONDS) -> Result:
        """Run a command, which may wait for credentials for `patience` seconds."""
        ...


class FixedConnection:
    """A connection with one client, whose credentials never change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, command: Command[Result], patience: float = CREDENTIALS_SECONDS) -> Result:
        return await command(self._database)


@asynccontextmanager
async def open_connection(
    settings: Settings,
    uri: str,
    redact: Callable[[str], None],
    listeners: Sequence[Listener] = (),
) -> AsyncIterator[Connection]:
    """The connection that the settings describe.

    `redact` is called with each password before it is used. `listeners` receive the events of the
    driver.
    """
    if settings.documentdb_secret_arn is None:
        async with connect(uri, event_listeners=listeners) as client:
            yield FixedConnection(client.get_default_database(settings.database))
        return
    # These modules import the AWS SDK, which takes a third of a second and 30 MB of memory.
    from game_api.database.credentials import Secret
    from game_api.database.rotation import RotatingConnection

    secret = Secret(settings.documentdb_secret_arn, redact)
    async with RotatingConnection(uri, settings.database, secret, listeners) as connection:
        yield connection


async def insert(connection: Connection, collection: str, document: Document) -> bool:
    """Insert a document; returns False if another one has the same `_id` or the same unique key.

    Raises DatabaseUnavailable if it can't be determined whether the document was inserted. The
    insertion is never repeated: by then another process may have deleted the document, and the
    repetition would bring it back.
    """
    try:
        await connection.run(lambda database: database[collection].insert_one(document))
        return True
    except DuplicateKeyError:
        return False
    except OUTCOME_UNKNOWN:
        pass
    identity = {"_id": document["_id"], INCARNATION: document[INCARNATION]}
    found = await connection.run(lambda database: database[collection].find_one(identity))
    if found is None:
        raise DatabaseUnavailable()
    return True
