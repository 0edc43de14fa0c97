"""Requests with an `Idempotency-Key`, which have their effect once however often they are sent.

A keyed request is one document. It is inserted before anything else is written, with the identity
of what the request may create, and it gets the answer before the client does. A repetition finds
the answer and replays it. If there is none, because the process has died or the answer of the
database was lost, the repetition takes the request over, with the same identity: it finds what the
earlier attempt has created. `docs/concurrency.md` explains the protocol.
"""

import asyncio
import json
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

import odmantic
import pymongo
from pydantic import BaseModel, ConfigDict
from pymongo.errors import DuplicateKeyError, PyMongoError

from game_api.access.creation import Creation
from game_api.access.errors import IdempotencyKeyReused, RequestInProgress
from game_api.clock import utc_now
from game_api.database.client import Document
from game_api.database.connection import Connection
from game_api.database.documents import document_of, model_of
from game_api.database.errors import OUTCOME_UNKNOWN
from game_api.errors import DatabaseUnavailable
from game_api.ids import new_id, new_token

LIFETIME = timedelta(hours=24)
"""How long the answer to a keyed request is kept."""
TRACE_LIFETIME = 2 * LIFETIME
"""How long a repetition finds what a keyed request has created, whatever has happened to it since.

This is longer than the answer is kept, because the clocks of processes may differ.
"""
LEASE = timedelta(seconds=30)
"""How long an attempt keeps others from taking the request over; no attempt takes that long."""
RELEASE_SECONDS = 2.0
MAX_PASSES = 4


class Answer(BaseModel):
    """The answer that a repetition replays: its status, its body, and some of its headers."""

    model_config = ConfigDict(frozen=True)

    status: int
    headers: dict[str, str]
    body: str


class KeyedRequest(odmantic.Model):
    """A request with a key, which one attempt at a time works on."""

    model_config = {"collection": "keyed_requests"}

    id: str = odmantic.Field(primary_field=True)
    fingerprint: str
    """The hash of the body."""
    owner: str
    """The token of the attempt that works on the request, or that has answered it."""
    lease_until: datetime
    resource_id: str
    incarnation: str
    started_at: datetime
    answer: Answer | None = None
    purge_at: datetime
    """When the database may remove the request. It has a TTL index."""


KEYED_REQUESTS = +KeyedRequest


@dataclass(frozen=True)
class Attempt:
    """One attempt to answer a keyed request."""

    request: str
    owner: str
    creation: Creation


class KeyedRequests:
    """The keyed requests of one database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tasks: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        """Wait until every release that has begun has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def begin(
        self, principal: str | None, method: str, path: str, key: str, body: bytes
    ) -> Attempt | Answer:
        """Begin an attempt, or return the answer that the request has got already.

        Raises IdempotencyKeyReused, or RequestInProgress while another attempt is working on it.
        """
        now = utc_now()
        fresh = KeyedRequest(
            id=digest(json.dumps([principal, method, path, key]).encode()),
            fingerprint=digest(body),
            owner=new_token(),
            lease_until=now + LEASE,
            resource_id=new_id(),
            incarnation=new_token(),
            started_at=now,
            purge_at=now + LIFETIME,
        )
        try:
            return await self._begin(fresh, now)
        except (IdempotencyKeyReused, RequestInProgress):
            raise
        except BaseException:
            # A lost or late command may have made this attempt the owner of the request.
            self.release(attempt(fresh, repeated=True), nothing_written=False)
            raise

    async def _begin(self, fresh: KeyedRequest, now: datetime) -> Attempt | Answer:
        for _ in range(MAX_PASSES):
            if await self._insert(fresh):
                return attempt(fresh, repeated=False)
            found = await self._find(fresh.id)
            if found is None:
                continue  # It was removed, or the insertion may still arrive: repeat the same one.
            if found.owner == fresh.owner:
                return attempt(found, repeated=found.resource_id != fresh.resource_id)
            if found.started_at + LIFETIME <= now:
                await self._replace(found, fresh)
                continue  # The next pass finds out who has replaced it.
            if found.fingerprint != fresh.fingerprint:
                raise IdempotencyKeyReused()
            if found.answer is not None:
                return found.answer
            if found.lease_until > now:
                raise RequestInProgress()
            await self._take_over(found, fresh)
        raise RequestInProgress()

    async def finish(self, attempt: Attempt, answer: Answer) -> Answer:
        """Keep the answer of an attempt.

        Returns the answer to send: that of another attempt, if one has taken the request over and
        answered it. Raises RequestInProgress if that one is still working on it, and
        DatabaseUnavailable if it can't be determined whether the answer is kept.
        """
        update = {"$set": {"answer": answer.model_dump()}}
        for _ in range(2):
            try:
                result = await self._connection.run(
                    "update",
                    lambda database: database[KEYED_REQUESTS].update_one(owned(attempt), update),
                )
                if result.matched_count:
                    return answer
            except OUTCOME_UNKNOWN:
                pass
            found = await self._find(attempt.request)
            if found is None:
                raise DatabaseUnavailable()
            if found.answer is not None:
                return found.answer
            if found.owner != attempt.owner:
                raise RequestInProgress()
        raise DatabaseUnavailable()

    def release(self, attempt: Attempt, nothing_written: bool) -> None:
        """Let the next attempt begin, after one without an answer that is kept.

        This does not wait, because the deadline of the request may have passed.
        """
        forget = nothing_written and not attempt.creation.repeated
        task = asyncio.create_task(self._release(attempt, forget), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _release(self, attempt: Attempt, forget: bool) -> None:
        with suppress(PyMongoError), pymongo.timeout(RELEASE_SECONDS):
            try:
                await self._end(attempt, forget)
            except OUTCOME_UNKNOWN:
                await self._end(attempt, forget)
        # Otherwise the lease ends by itself.

    async def _end(self, attempt: Attempt, forget: bool) -> None:
        if forget:
            await self._connection.run(
                "delete", lambda database: database[KEYED_REQUESTS].delete_one(owned(attempt))
            )
        else:
            ended = {"$set": {"lease_until": utc_now()}}
            await self._connection.run(
                "update",
                lambda database: database[KEYED_REQUESTS].update_one(owned(attempt), ended),
            )

    async def _insert(self, request: KeyedRequest) -> bool:
        try:
            await self._connection.run(
                "insert",
                lambda database: database[KEYED_REQUESTS].insert_one(document_of(request)),
            )
            return True
        except (DuplicateKeyError, *OUTCOME_UNKNOWN):
            return False

    async def _replace(self, found: KeyedRequest, fresh: KeyedRequest) -> None:
        """Put a new request in the place of one whose time has passed."""
        try:
            await self._connection.run(
                "update",
                lambda database: database[KEYED_REQUESTS].replace_one(
                    {"_id": found.id, "owner": found.owner}, document_of(fresh)
                ),
            )
        except OUTCOME_UNKNOWN:
            pass

    async def _take_over(self, found: KeyedRequest, fresh: KeyedRequest) -> None:
        """Make the fresh attempt the owner, unless the request was answered or taken over."""
        guard = {"_id": found.id, "owner": found.owner, "answer": None}
        ownership = {"$set": {"owner": fresh.owner, "lease_until": fresh.lease_until}}
        try:
            await self._connection.run(
                "update", lambda database: database[KEYED_REQUESTS].update_one(guard, ownership)
            )
        except OUTCOME_UNKNOWN:
            pass

    async def _find(self, request_id: str) -> KeyedRequest | None:
        document = await self._connection.run(
            "find", lambda database: database[KEYED_REQUESTS].find_one({"_id": request_id})
        )
        return None if document is None else model_of(KeyedRequest, document)


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def attempt(request: KeyedRequest, repeated: bool) -> Attempt:
    """The attempt that owns the request."""
    creation = Creation(
        request.resource_id, request.incarnation, request.started_at, True, repeated
    )
    return Attempt(request.id, request.owner, creation)


def owned(attempt: Attempt) -> Document:
    """The filter that matches the request as long as the attempt owns it, without an answer."""
    return {"_id": attempt.request, "owner": attempt.owner, "answer": None}
