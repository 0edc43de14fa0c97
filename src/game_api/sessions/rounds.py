"""Rounds: the changes of a session that are applied together and written at once."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

import pymongo
from pymongo.errors import PyMongoError

from game_api.access.idempotency import TRACE_LIFETIME
from game_api.clock import utc_now
from game_api.database.client import Document
from game_api.database.connection import Connection
from game_api.database.documents import document_of, model_of
from game_api.database.errors import OUTCOME_UNKNOWN, is_unavailable
from game_api.errors import ApiError, DatabaseUnavailable
from game_api.observability.metrics import CONFLICTS_RETRIED, SESSIONS_ENDED, Metrics
from game_api.players.errors import PlayerNotFound
from game_api.seats.claims import Claim, Claims, Hold
from game_api.sessions.errors import SessionNotFound
from game_api.sessions.model import Session

Result = TypeVar("Result")
Rule = Callable[[Session], Result]
"""Changes the session that it is given, raises an error, or changes nothing."""

SESSIONS = +Session  # The name of the collection.
WRITES_KEPT = 16
"""The number of write tokens that a session keeps."""
RELEASE_SECONDS = 0.5
"""How long the answers of a round may be delayed by the release of claims."""
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.05
"""The limits in seconds of the random pause before another attempt; it doubles each time."""


class WriteRejected(Exception):
    """The database, or the driver, rejects what a round would write with this error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(eq=False)
class Change(Generic[Result]):
    """A rule that waits for its round."""

    rule: Rule[Result]
    answer: "asyncio.Future[tuple[Session, Result]]"
    tokens: dict[str, str] = field(default_factory=dict)
    """The claims that earlier attempts have obtained for this change, by player."""
    shared: dict[str, str] = field(default_factory=dict)
    """Those of them that another writer of the session had before; see `Hold.shared`."""
    attempt: int = 0

    @property
    def abandoned(self) -> bool:
        """Whether the request has been answered already, for example because of its deadline."""
        return self.answer.done()


@dataclass
class Deferred:
    """A change that is left out of a round, because other sessions claim its players."""

    newcomers: set[str]
    """The players whom the change itself would seat."""
    claims: dict[str, Claim]
    latency: float
    """How many seconds it took to find these claims."""


Answer = tuple[Session, Any] | Exception | Deferred | None
"""The session and the result of a rule, its error, or None for an abandoned change."""


@dataclass
class Plan:
    """The result of applying changes to a session in memory, before it is written."""

    loaded: Session
    session: Session
    """The session after every accepted rule; it is `loaded` itself if nothing changed."""
    answers: list[Answer] = field(default_factory=list)
    newcomers: set[str] = field(default_factory=set)
    """The players whom any of the rules seats, and who had no seat when the session was loaded."""

    @classmethod
    def make(
        cls,
        loaded: Session,
        changes: Sequence[Change[Any]],
        refused: Mapping[str, ApiError],
        contested: Mapping[str, Claim],
        latency: float = 0,
    ) -> "Plan":
        """Apply the rules in order.

        A rule that would seat a refused player fails; a rule that would seat a contested player
        is deferred.
        """
        plan = cls(loaded, loaded)
        seated = {member.player_id for member in loaded.members}
        for change in changes:
            if change.abandoned:
                plan.answers.append(None)
                continue
            # Each rule works on a copy, so that a refused one leaves no trace.
            draft = plan.session.model_copy()
            try:
                result = change.rule(draft)
                before = {member.player_id for member in plan.session.members}
                newcomers = {member.player_id for member in draft.members} - before - seated
                for player_id in newcomers & refused.keys():
                    raise refused[player_id]
            except Exception as error:
                plan.answers.append(error)
                continue
            if claims := {p: contested[p] for p in newcomers & contested.keys()}:
                plan.answers.append(Deferred(newcomers, claims, latency))
                continue
            plan.answers.append((draft, result))
            plan.newcomers |= newcomers
            # A rule may ask for a write without a new version, by the revision alone.
            if (draft.version, draft.revision) != (plan.session.version, plan.session.revision):
                plan.session = draft
        return plan


@dataclass
class Round:
    """One round of changes of one session."""

    connection: Connection
    claims: Claims
    metrics: Metrics
    retention: timedelta
    session_id: str
    changes: Sequence[Change[Any]]

    def __post_init__(self) -> None:
        tokens = {p: t for change in self.changes for p, t in change.tokens.items()}
        shared = {p: t for change in self.changes for p, t in change.shared.items()}
        self.hold = Hold(self.session_id, tokens, shared)
        self._unanswered: tuple[str, Plan] | None = None
        """The token and the plan of a write whose response was lost."""

    async def run(self) -> Sequence[Answer]:
        """Load, apply, claim and write; start over if another process wrote in between.

        Returns the answer to each change. Raises WriteRejected if the session can't be written.
        """
        pause = FIRST_PAUSE
        while True:
            loaded = await load(self.connection, self.session_id)
            plan = self.find_written(loaded)
            if plan is None:
                plan = await self.make_plan(loaded)
                if not await self.write(plan):
                    self.metrics.count(CONFLICTS_RETRIED)
                    await asyncio.sleep(random.uniform(0, pause))
                    pause = min(2 * pause, LONGEST_PAUSE)
                    self.hold.renew()
                    continue
            if plan.loaded.live and not plan.session.live:
                self.metrics.count(SESSIONS_ENDED, plan.session.status)
            await self.release(plan)
            return plan.answers

    async def make_plan(self, loaded: Session) -> Plan:
        """Apply the rules and claim the players whom they seat.

        Repeats this without the players who are refused or claimed by other sessions, until all
        newcomers are claimed.
        """
        refused: dict[str, ApiError] = {}
        contested: dict[str, Claim] = {}
        latency = 0.0
        while True:
            plan = Plan.make(loaded, self.changes, refused, contested, latency)
            unclaimed = self.hold.unclaimed(plan.newcomers)
            if not unclaimed:
                return plan
            started = time.monotonic()
            missing, foreign = await self.claims.take(self.hold, unclaimed)
            latency = max(latency, time.monotonic() - started)
            refused |= {player_id: PlayerNotFound(player_id) for player_id in missing}
            contested |= foreign

    async def write(self, plan: Plan) -> bool:
        """Write the changes of a plan, unless another process wrote since the session was loaded.

        If the response is lost, the plan is remembered and False is returned; the second time it
        raises the driver's error. Raises WriteRejected if the database rejects the session.
        """
        loaded, session = plan.loaded, plan.session.model_copy()
        if plan.session is loaded and not self._may_still_arrive(loaded):
            return True
        claims = {m.player_id: m.claim for m in loaded.members}
        session.members = tuple(
            m.with_claim(claims.get(m.player_id, self.hold.token)) for m in session.members
        )
        session.revision = loaded.revision + 1
        session.writes = (*loaded.writes, self.hold.token)[-WRITES_KEPT:]
        if session.ended_at is not None and session.purge_at is None:
            session.purge_at = session.ended_at + self.retention
            if session.keyed:
                session.purge_at = max(session.purge_at, session.created_at + TRACE_LIFETIME)
        try:
            result = await self.connection.run(
                "update",
                lambda database: database[SESSIONS].replace_one(
                    {"_id": session.id, "revision": loaded.revision}, document_of(session)
                ),
            )
        except OUTCOME_UNKNOWN:
            if self._unanswered:
                raise
            plan.session = session
            self._unanswered = (self.hold.token, plan)
            return False
        except Exception as error:
            if is_unavailable(error):
                raise
            raise WriteRejected(error) from error
        plan.session = session
        return result.matched_count == 1

    def _may_still_arrive(self, loaded: Session) -> bool:
        """Whether a write whose response was lost may still be made.

        Then nothing may be answered before another write has taken its place: even a round that
        changes nothing writes.
        """
        return self._unanswered is not None and (
            self._unanswered[1].loaded.revision == loaded.revision
        )

    def find_written(self, loaded: Session) -> Plan | None:
        """The plan that was written although its response was lost.

        Raises DatabaseUnavailable if so many writes followed that it can't be determined.
        """
        if self._unanswered is None:
            return None
        token, plan = self._unanswered
        if token in loaded.writes:
            return plan
        if loaded.revision - plan.loaded.revision > WRITES_KEPT:
            raise DatabaseUnavailable()
        return None

    async def release(self, plan: Plan) -> None:
        """Free the claims that are not needed any more.

        They are those of the players who lost their seats, and of the players who were claimed and
        got no seat. A deferred change keeps its claims.
        """
        seats = {m.player_id: m.claim for m in plan.session.members if plan.session.live}
        kept: set[str] = set()
        for change, answer in zip(self.changes, plan.answers, strict=True):
            if isinstance(answer, Deferred):
                tokens = self.hold.tokens
                needed = (answer.newcomers & tokens.keys()) - seats.keys()
                change.tokens = {player_id: tokens[player_id] for player_id in needed}
                change.shared = {p: t for p, t in self.hold.shared.items() if p in needed}
                kept |= needed
        freed = {p: t for p, t in self.hold.tokens.items() if p not in seats and p not in kept}
        for member in (*plan.loaded.members, *plan.session.members):
            if member.player_id not in seats and member.claim is not None:
                if plan.session is not plan.loaded:
                    freed[member.player_id] = member.claim
        misplaced = {p: t for p, t in self.hold.tokens.items() if seats.get(p) not in (None, t)}
        try:
            with pymongo.timeout(RELEASE_SECONDS):
                await self.claims.release(self.hold, freed)
                if misplaced:
                    own = {p: seats[p] or "" for p in misplaced}
                    await hand_over(self.connection, self.claims, self.hold, misplaced, own)
        except PyMongoError:
            pass  # The change is made, and a claim without a seat does not block the player.


async def hand_over(
    connection: Connection,
    claims: Claims,
    hold: Hold,
    tokens: Mapping[str, str],
    seats: Mapping[str, str],
) -> None:
    """Give claims to the tokens of the seats, which other writers of the session have taken."""
    await claims.replace(hold.session_id, tokens, seats)
    # Whoever left in the meantime could not release a claim with another token.
    session = await load(connection, hold.session_id)
    left = {p: t for p, t in seats.items() if not session.live or not session.member(p)}
    await claims.release(hold, left)


async def load(connection: Connection, session_id: str) -> Session:
    """Load a session. Raises SessionNotFound, also if the session may be purged."""
    return model_of(Session, await find(connection, session_id))


async def find(connection: Connection, session_id: str) -> Document:
    """The document of a session. Raises SessionNotFound, also if the session may be purged."""
    document = await connection.run(
        "find", lambda database: database[SESSIONS].find_one({"_id": session_id})
    )
    if document is None or "version" not in document or purged(document):
        raise SessionNotFound(session_id)
    return document


def purged(document: Document) -> bool:
    """Whether the document may be removed; the database does so only from time to time."""
    purge_at = document.get("purge_at")
    return purge_at is not None and bool(purge_at <= utc_now())
