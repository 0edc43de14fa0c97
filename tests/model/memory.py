"""A database in memory that executes the single-document operations that the stores use.

The driver's calls become commands, and a command consists of steps. The database executes each step
as a whole, as MongoDB does with one document; steps of several writers may interleave.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import bson
from bson.codec_options import CodecOptions
from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError
from pymongo.results import BulkWriteResult, DeleteResult, InsertOneResult, UpdateResult

from game_api.database.client import CREDENTIALS_SECONDS, Command as DriverCall, Database, Result
from tests.model.documents import Document, matches, projected, updated, upserted

UNIQUE: Mapping[str, Sequence[str]] = {
    "players": ["username_key", "birth"],
    "sessions": [],
    "keyed_requests": [],
}
"""The fields of the unique indexes, by collection."""
SPARSE = ("birth",)
"""Those of them that need not be unique among the documents without the field."""

OPTIONS: CodecOptions[Document] = CodecOptions(tz_aware=True)


def decoded(data: bytes) -> Document:
    """A new copy of a document, as the driver decodes it."""
    return bson.decode(data, OPTIONS)


@lru_cache(maxsize=100_000)
def shared(data: bytes) -> Document:
    """A document that must not be changed."""
    return decoded(data)


@dataclass(frozen=True)
class Step:
    """An operation on one document, which the database executes as a whole."""

    collection: str
    name: str
    """`find`, `insert`, `update`, `replace` or `delete`."""
    arguments: bytes

    @property
    def writes(self) -> bool:
        return self.name != "find"


@dataclass(frozen=True)
class Command:
    """A call of a method of a collection."""

    method: str
    steps: tuple[Step, ...]

    @property
    def writes(self) -> bool:
        return any(step.writes for step in self.steps)


class Contents:
    """The documents of a database; they are never changed, a write returns new contents."""

    def __init__(self, documents: Mapping[tuple[str, str], bytes]) -> None:
        self._documents = documents
        self.key = frozenset(documents.items())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Contents) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def document(self, collection: str, document_id: str) -> Document | None:
        data = self._documents.get((collection, document_id))
        return None if data is None else shared(data)

    def collection(self, name: str) -> list[Document]:
        """The documents of a collection, sorted by `_id`."""
        return [
            shared(data)
            for (collection, _), data in sorted(self._documents.items())
            if collection == name
        ]

    def put(self, collection: str, document: Document) -> "Contents":
        """Raises DuplicateKeyError if a unique key belongs to another document."""
        for field in UNIQUE[collection]:
            if field in SPARSE and field not in document:
                continue
            for other in self.collection(collection):
                if other.get(field) == document.get(field) and other["_id"] != document["_id"]:
                    raise duplicate(collection, field, document.get(field))
        place = (collection, document["_id"])
        return Contents({**self._documents, place: bson.encode(document)})

    def remove(self, collection: str, document_id: str) -> "Contents":
        place = (collection, document_id)
        return Contents({key: data for key, data in self._documents.items() if key != place})


EMPTY = Contents({})


def duplicate(collection: str, field: str, value: Any) -> DuplicateKeyError:
    """The error that the driver raises for a duplicate of a unique key."""
    name = "_id_" if field == "_id" else field
    message = f"E11000 duplicate key error collection: {collection} index: {name}"
    keys = {"keyPattern": {field: 1}, "keyValue": {field: value}}
    details = {"index": 0, "code": 11000, "errmsg": message, **keys}
    return DuplicateKeyError(message, 11000, details)


def execute(contents: Contents, step: Step) -> tuple[Contents, bytes]:
    """Execute a step. Returns the new contents and the database's reply."""
    try:
        contents, reply = STEPS[step.name](contents, step.collection, shared(step.arguments))
    except DuplicateKeyError as error:
        details = cast(Document, error.details)
        reply = {"duplicate": list(details["keyValue"].items())[0]}
    return contents, bson.encode(reply)


def _find(contents: Contents, collection: str, given: Document) -> tuple[Contents, Document]:
    found = [d for d in contents.collection(collection) if matches(d, given["filter"])]
    for field, direction in reversed(list(given["sort"].items())):
        found.sort(key=lambda document: document[field], reverse=direction < 0)
    if given["limit"]:
        found = found[: given["limit"]]
    return contents, {"documents": [projected(d, given["projection"]) for d in found]}


def _insert(contents: Contents, collection: str, given: Document) -> tuple[Contents, Document]:
    document = given["document"]
    if contents.document(collection, document["_id"]) is not None:
        raise duplicate(collection, "_id", document["_id"])
    return contents.put(collection, document), {"n": 1}


def _first(contents: Contents, collection: str, query: Document) -> Document | None:
    """The document that an operation on one document would choose."""
    if isinstance(query.get("_id"), str):
        document = contents.document(collection, query["_id"])
        return document if document is not None and matches(document, query) else None
    return next((d for d in contents.collection(collection) if matches(d, query)), None)


def _update(contents: Contents, collection: str, given: Document) -> tuple[Contents, Document]:
    document = _first(contents, collection, given["filter"])
    if document is None:
        if not given["upsert"]:
            return contents, {"n": 0, "nModified": 0}
        document = upserted(given["filter"], given["update"])
        contents, _ = _insert(contents, collection, {"document": document})
        return contents, {"n": 1, "nModified": 0, "upserted": document["_id"]}
    changed = updated(document, given["update"])
    return _put_changed(contents, collection, document, changed)


def _replace(contents: Contents, collection: str, given: Document) -> tuple[Contents, Document]:
    document = _first(contents, collection, given["filter"])
    if document is None:
        return contents, {"n": 0, "nModified": 0}
    return _put_changed(contents, collection, document, given["document"])


def _put_changed(
    contents: Contents, collection: str, document: Document, changed: Document
) -> tuple[Contents, Document]:
    if changed["_id"] != document["_id"]:
        raise NotImplementedError("a change of `_id`")
    if bson.encode(changed) == bson.encode(document):
        return contents, {"n": 1, "nModified": 0}
    return contents.put(collection, changed), {"n": 1, "nModified": 1}


def _delete(contents: Contents, collection: str, given: Document) -> tuple[Contents, Document]:
    document = _first(contents, collection, given["filter"])
    if document is None:
        return contents, {"n": 0}
    return contents.remove(collection, document["_id"]), {"n": 1}


STEPS = {
    "find": _find,
    "insert": _insert,
    "update": _update,
    "replace": _replace,
    "delete": _delete,
}


def result(command: Command, replies: Iterable[bytes]) -> Any:
    """What the driver returns, or raises, when these are the replies to the steps of a command."""
    answers = [decoded(reply) for reply in replies]
    for step, answer in zip(command.steps, answers, strict=True):
        if "duplicate" in answer:
            raise duplicate(step.collection, *answer["duplicate"])
    match command.method:
        case "find" | "find_one":
            found = [document for answer in answers for document in answer["documents"]]
            return found if command.method == "find" else (found[0] if found else None)
        case "insert_one":
            document = shared(command.steps[0].arguments)["document"]
            return InsertOneResult(document["_id"], True)
        case "update_one" | "replace_one":
            return UpdateResult(answers[0], True)
        case "delete_one":
            return DeleteResult(answers[0], True)
        case "bulk_write":
            if any("upserted" in answer for answer in answers):
                raise NotImplementedError("an upsert in a bulk write")
            matched = sum(answer["n"] for answer in answers)
            modified = sum(answer["nModified"] for answer in answers)
            counts = {"nMatched": matched, "nModified": modified}
            others = dict.fromkeys(("nInserted", "nUpserted", "nRemoved"), 0)
            return BulkWriteResult({**counts, **others, "upserted": []}, True)
    raise NotImplementedError(command.method)


Execute = Callable[[Command], Awaitable[Any]]


class MemoryCollection:
    """The methods of a collection of the driver that the stores call."""

    def __init__(self, name: str, execute: Execute) -> None:
        self._name = name
        self._execute = execute

    def _step(self, name: str, **arguments: Any) -> Step:
        return Step(self._name, name, bson.encode(arguments))

    def find(
        self,
        query: Document,
        projection: Document | None = None,
        *,
        sort: Sequence[tuple[str, int]] = (),
        limit: int = 0,
        batch_size: int = 0,
    ) -> "MemoryCursor":
        options = {"projection": projection, "sort": dict(sort), "limit": limit}
        ids = query.get("_id")
        if isinstance(ids, dict) and ids.get("$in") and len(ids) == 1 and not sort and not limit:
            # The database reads one document after the other.
            queries = [{**query, "_id": document_id} for document_id in sorted(set(ids["$in"]))]
        else:
            queries = [query]
        steps = tuple(self._step("find", filter=one, **options) for one in queries)
        return MemoryCursor(Command("find", steps), self._execute)

    async def find_one(self, query: Document, projection: Document | None = None) -> Any:
        (step,) = self.find(query, projection, limit=1).command.steps
        return await self._execute(Command("find_one", (step,)))

    async def insert_one(self, document: Document) -> Any:
        return await self._run("insert_one", self._step("insert", document=document))

    async def update_one(self, query: Document, update: Document, upsert: bool = False) -> Any:
        step = self._step("update", filter=query, update=update, upsert=upsert)
        return await self._run("update_one", step)

    async def replace_one(self, query: Document, document: Document) -> Any:
        step = self._step("replace", filter=query, document=document)
        return await self._run("replace_one", step)

    async def delete_one(self, query: Document) -> Any:
        return await self._run("delete_one", self._step("delete", filter=query))

    async def bulk_write(self, requests: Sequence[UpdateOne], ordered: bool = True) -> Any:
        if ordered:
            raise NotImplementedError("an ordered bulk write")
        steps = [
            self._step("update", filter=one._filter, update=one._doc, upsert=bool(one._upsert))
            for one in requests
        ]
        return await self._run("bulk_write", *steps)

    async def _run(self, method: str, *steps: Step) -> Any:
        return await self._execute(Command(method, steps))


@dataclass(frozen=True)
class MemoryCursor:
    """The result of a find, which is only ever read as a list."""

    command: Command
    execute: Execute

    async def to_list(self) -> Any:
        return await self.execute(self.command)


class MemoryConnection:
    """A connection whose commands are executed by a function."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    async def run(
        self, name: str, command: DriverCall[Result], patience: float = CREDENTIALS_SECONDS
    ) -> Result:
        return await command(cast(Database, self))

    def __getitem__(self, name: str) -> MemoryCollection:
        return MemoryCollection(name, self._execute)


class Memory:
    """A database that executes every command at once."""

    def __init__(self, contents: Contents = EMPTY) -> None:
        self.contents = contents

    async def execute(self, command: Command) -> Any:
        return self.run(command)

    def run(self, command: Command) -> Any:
        replies = []
        for step in command.steps:
            self.contents, reply = execute(self.contents, step)
            replies.append(reply)
        return result(command, replies)
