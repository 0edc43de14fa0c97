"""The driver as it is used here: its client, its collections, the models' indexes."""

import asyncio
import sys
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

import pymongo.lock
from odmantic.index import ODMBaseIndex
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect, DuplicateKeyError, PyMongoError, WriteConcernError
from pymongo.results import BulkWriteResult, DeleteResult, InsertOneResult, UpdateResult
from pymongo.uri_parser import parse_uri

from game_api.players.model import Player
from game_api.sessions.model import Session
from game_api.settings import Settings, SettingsError

if sys.version_info < (3, 12):
    Result = TypeVar("Result")

    async def wait_for(awaitable: Awaitable[Result], timeout: float | None) -> Result:
        """asyncio's, as it is from Python 3.12 on, for the driver.

        The one of Python 3.11 waits in a task of its own. When a request's deadline comes in the
        moment in which the driver's own wait for a server ends, that task takes the client's lock
        after everybody has gone: the request fails with a RuntimeError, and nothing that needs a
        server ever comes to an end on that client.
        """
        async with asyncio.timeout(timeout):
            return await awaitable

    setattr(pymongo.lock, "wait_for", wait_for)

Document = dict[str, Any]
Database = AsyncDatabase[Document]
Client = AsyncMongoClient[Document]

MODELS = (Player, Session)

DEADLINE = 4.0
"""Seconds that a request's work on the database may take in all; past it, 503."""

OUTCOME_UNKNOWN = (AutoReconnect, WriteConcernError)
"""What a write raises that may have happened all the same."""

OPTIONS: Mapping[str, Any] = {
    "appName": "game-api",
    "connectTimeoutMS": 3000,
    "maxConnecting": 2,
    "maxPoolSize": 10,
    "retryWrites": False,  # DocumentDB has no retryable writes; the stores retry what is safe
    "serverSelectionTimeoutMS": 3000,
    "timeoutMS": int(DEADLINE * 1000),
    "w": "majority",
}
"""The driver's defaults here; an option in the connection string goes before them."""


class Found(Protocol):
    """What a query finds, once it is asked for."""

    async def to_list(self) -> list[Document]: ...


class Collection(Protocol):
    """What the stores use of the driver's collections, with the driver's arguments."""

    async def find_one(self, *arguments: Any, **options: Any) -> Document | None: ...
    def find(self, *arguments: Any, **options: Any) -> Found: ...
    async def aggregate(self, *arguments: Any, **options: Any) -> Found: ...
    async def insert_one(self, *arguments: Any, **options: Any) -> InsertOneResult: ...
    async def update_one(self, *arguments: Any, **options: Any) -> UpdateResult: ...
    async def replace_one(self, *arguments: Any, **options: Any) -> UpdateResult: ...
    async def delete_one(self, *arguments: Any, **options: Any) -> DeleteResult: ...
    async def bulk_write(self, *arguments: Any, **options: Any) -> BulkWriteResult: ...


class Collections(Protocol):
    """A database as the stores see it: its collections, by name."""

    def __getitem__(self, name: str) -> Collection: ...


def database_uri(settings: Settings) -> str:
    """The connection string that the settings describe, for a database that is not embedded.

    What a secret of AWS holds is not in it: it comes later, and changes.
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
    """A client for the database; it connects in the background, at the first use."""
    given = {name.lower() for name in parse_uri(uri, warn=False)["options"]}
    defaults = {name: value for name, value in OPTIONS.items() if name.lower() not in given}
    return AsyncMongoClient(uri, tz_aware=True, **{**defaults, **options})


def check_connection_options(settings: Settings) -> None:
    """Raises SettingsError when the driver refuses what the settings say; nothing is connected."""
    if settings.embedded:
        return
    try:
        connect(database_uri(settings), connect=False)
    except (PyMongoError, ValueError, OSError) as error:
        name = "MONGODB_URI" if settings.mongodb_uri else "DOCUMENTDB_HOST"
        raise SettingsError([f"GAME_API_{name}: {error}"]) from None


async def create_indexes(database: Database) -> list[str]:
    """Create the indexes that the models declare; those that exist are left alone.

    Returns their names, as `collection.index`.
    """
    created = []
    for model in MODELS:
        indexes = [
            index.get_pymongo_index() if isinstance(index, ODMBaseIndex) else index
            for index in model.__indexes__()
        ]
        names = await database[+model].create_indexes(indexes)
        created += [f"{+model}.{name}" for name in names]
    return created


async def insert_new(collection: Collection, document: Document) -> bool:
    """Insert a document, trying once more when the connection breaks before the answer comes.

    Returns False when another document has its `_id` or a unique key of it; `birth`, a token that
    no two documents share, tells the document from others.
    """
    try:
        await collection.insert_one(document)
        return True
    except OUTCOME_UNKNOWN:
        pass
    except DuplicateKeyError:
        return False
    try:
        await collection.insert_one(document)
        return True
    except DuplicateKeyError:
        # Most likely the first try: it had arrived, only its answer was lost.
        found = await collection.find_one({"_id": document["_id"]}, {"birth": 1})
        return found is not None and found.get("birth") == document["birth"]
