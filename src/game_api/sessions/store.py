"""Sessions in the database: reads, creation, and the one way to change a session."""

import asyncio
import contextvars
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pymongo
from pymongo.errors import PyMongoError

from game_api.database import DEADLINE, OUTCOME_UNKNOWN, Collections, Document, insert_new
from game_api.errors import ApiError, DatabaseUnavailable, SessionNotFound
from game_api.ids import new_id
from game_api.metrics import (
    CONFLICTS_RETRIED,
    GROUP_COMMIT_SIZE,
    SESSIONS_CREATED,
    SESSIONS_ENDED,
    Metrics,
)
from game_api.players.model import Player
from game_api.sessions.claims import Claims, Hold
from game_api.sessions.model import LIVE, Session

Result = TypeVar("Result")
Rule = Callable[[Session], Result]
"""Changes the session it is given, raises an ApiError, or finds that there is nothing to do."""

ROUND = 1000
"""Changes that one round takes at most."""
WRITES_KEPT = 16
"""How many write tokens a session remembers."""
RELEASE_SECONDS = 0.5
"""How long an answer that is certain already may wait for claims to be released."""
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.05
"""Seconds between two attempts of a round, at most: doubled from the one up to the other."""

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


@dataclass
class Change(Generic[Result]):
    """A rule that waits for its round, and where its answer goes."""

    rule: Rule[Result]
    answer: "asyncio.Future[tuple[Session, Result]]"


@dataclass
class Plan:
    """What a round makes of a session: applied in memory, not yet written."""

    loaded: Session
    session: Session
    """The session after every accepted rule; `loaded` itself when nothing changed."""
    answers: list[tuple[Session, Any] | Exception]
    """For each rule the session as it left it and what it returned, or why it was refused."""
    newcomers: set[str]
    """Who is seated by any of the rules and was not when the session was loaded."""

    @classmethod
    def of(
        cls, loaded: Session, rules: Sequence[Rule[Any]], refused: Mapping[str, ApiError]
    ) -> "Plan":
        """Apply the rules in order. A rule that would seat a refused player is refused."""
        plan = cls(loaded, loaded, [], set())
        seated = {member.player_id for member in loaded.members}
        for rule in rules:
            # Each rule works on a copy, so that a refused one leaves nothing behind.
            draft = plan.session.model_copy()
            try:
                result = rule(draft)
                newcomers = {member.player_id for member in draft.members} - seated
                for player_id in newcomers & refused.keys():
                    raise refused[player_id]
            except Exception as error:
                plan.answers.append(error)
            else:
                plan.answers.append((draft, result))
                plan.newcomers |= newcomers
                if draft.version != plan.session.version:
                    plan.session = draft
        return plan


@dataclass(frozen=True)
class SessionFilter:
    """What narrows the list of sessions; None and empty ones do not."""

    status: tuple[str, ...] = ()
    game_mode: str | None = None
    region: str | None = None
    min_free_slots: int | None = None
    host_player_id: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    def query(self) -> Document:
        """The filter for the database; private sessions are never listed."""
        query: Document = {"visibility": "public"}
        if self.status:
            query["status"] = {"$in": sorted(set(self.status))}
        if self.game_mode is not None:
            query["game_mode"] = self.game_mode
        if self.region is not None:
            query["region"] = self.region
        if self.min_free_slots is not None:
            query["free_slots"] = {"$gte": self.min_free_slots}
        if self.host_player_id is not None:
            query["host_player_id"] = self.host_player_id
        for key, text in self.attributes.items():
            query[f"attributes.{key}"] = {"$in": readings(text)}
        return query


def readings(text: str) -> list[str | int | float | bool]:
    """The attribute values that are written like this: `5` is a number and a text."""
    values: list[str | int | float | bool] = [text]
    if text in ("true", "false"):
        values.append(text == "true")
    elif number := NUMBER.fullmatch(text):
        if number[2] is None and number[3] is None and -(2**63) <= int(text) < 2**63:
            values.append(int(text))
        elif float(text) not in (float("inf"), float("-inf")):
            values.append(float(text))
    return values


class SessionStore:
    """The sessions of one database."""

    def __init__(self, database: Collections, claims: Claims, metrics: Metrics) -> None:
        self._sessions = database[+Session]
        self._claims = claims
        self._metrics = metrics
        self._waiting: dict[str, list[Change[Any]]] = {}
        self._rounds: set[asyncio.Task[None]] = set()

    async def get(self, session_id: str) -> Session:
        """Raises SessionNotFound."""
        document = await self._sessions.find_one({"_id": session_id})
        if document is None or "version" not in document:  # no session, or a tombstone
            raise SessionNotFound(session_id)
        return Session.model_validate_doc(document)

    async def of_player(self, player: Player) -> Session | None:
        """The live session in which the player has a seat."""
        if player.session_id is None:
            return None
        try:
            session = await self.get(player.session_id)
        except SessionNotFound:
            return None
        return session if session.live and session.member(player.id) else None

    async def list(
        self, wanted: SessionFilter, limit: int, before: str | None = None
    ) -> Sequence[Session]:
        """At most `limit` public sessions, newest first, from after the one named `before`."""
        query = wanted.query()
        if before is not None:
            query["_id"] = {"$lt": before}  # ids are in the order of time
        cursor = self._sessions.find(query, sort=[("_id", -1)], limit=limit, batch_size=limit + 1)
        return [Session.model_validate_doc(document) for document in await cursor.to_list()]

    async def census(self) -> tuple[int, int]:
        """How many sessions live, and how many players are seated in them."""
        cursor = await self._sessions.aggregate(
            [
                {"$match": {"status": {"$in": sorted(LIVE)}}},
                {
                    "$group": {
                        "_id": None,
                        "sessions": {"$sum": 1},
                        "seated": {"$sum": {"$subtract": ["$max_players", "$free_slots"]}},
                    }
                },
            ]
        )
        for counted in await cursor.to_list():
            return counted["sessions"], counted["seated"]
        return 0, 0

    async def create(self, session: Session) -> Session:
        """Insert a new session with its members claimed.

        Raises PlayerNotFound or AlreadyInSession for a member who can't be seated. The session
        returned has another id when somebody else settled the first one's claims as abandoned.
        """
        while True:
            hold = Hold(session.id)
            if players := [member.player_id for member in session.members]:
                for refusal in (await self._claims.take(hold, players)).values():
                    raise refusal
            session.members = tuple(
                member.model_copy(update={"claim": hold.token}) for member in session.members
            )
            if await insert_new(self._sessions, session.model_dump_doc()):
                self._metrics.count(SESSIONS_CREATED)
                return session
            session = session.model_copy(update={"id": new_id()})

    async def change(self, session_id: str, rule: Rule[Result]) -> tuple[Session, Result]:
        """Apply a rule to a session: group commit.

        Rules that arrive while a round is under way wait for the next one, which loads the
        session once, applies all of them in order, writes once, and answers each. Returns the
        session as the rule left it, and what the rule returned. Raises what the rule raises,
        SessionNotFound, and PlayerNotFound or AlreadyInSession for a player whom it would seat.
        """
        change = Change(rule, asyncio.get_running_loop().create_future())
        if session_id in self._waiting:
            self._waiting[session_id].append(change)
        else:
            self._waiting[session_id] = [change]
            # A context of its own: the deadline of the first request is not that of the others.
            task = asyncio.create_task(self._work(session_id), context=contextvars.Context())
            self._rounds.add(task)
            task.add_done_callback(self._rounds.discard)
        return await change.answer

    async def _work(self, session_id: str) -> None:
        """Rounds, for as long as changes of this session wait."""
        waiting = self._waiting[session_id]
        changes: list[Change[Any]] = []
        answers: Sequence[Any] = []
        try:
            while waiting:
                await asyncio.sleep(0)  # what is ready to ask now comes along
                changes, waiting[:] = waiting[:ROUND], waiting[ROUND:]
                self._metrics.observe(GROUP_COMMIT_SIZE, len(changes))
                try:
                    with pymongo.timeout(DEADLINE):
                        answers = await self._round(session_id, [c.rule for c in changes])
                except Exception as error:
                    # Those who wait would meet the same failure, each a deadline later.
                    changes, waiting[:] = [*changes, *waiting], []
                    answers = [error] * len(changes)
                for change, answer in zip(changes, answers, strict=True):
                    if change.answer.done():  # its request is gone
                        continue
                    if isinstance(answer, Exception):
                        change.answer.set_exception(answer)
                    else:
                        change.answer.set_result(answer)
        finally:
            del self._waiting[session_id]
            for change in [*changes, *waiting]:
                change.answer.cancel()  # only when this task is cancelled is anything left

    async def _round(
        self, session_id: str, rules: Sequence[Rule[Any]]
    ) -> Sequence[tuple[Session, Any] | Exception]:
        """Load, apply, claim, write; again when another process wrote in between."""
        hold = Hold(session_id)
        unanswered: dict[str, Plan] = {}
        pause = FIRST_PAUSE
        while True:
            loaded = await self.get(session_id)
            plan = written(loaded, unanswered)
            if plan is None:
                plan = await self._plan(loaded, rules, hold)
                if not await self._write(plan, hold, unanswered):
                    await asyncio.sleep(random.uniform(0, pause))
                    pause = min(2 * pause, LONGEST_PAUSE)
                    hold.renew()
                    self._metrics.count(CONFLICTS_RETRIED)
                    continue
            if plan.loaded.live and not plan.session.live:
                self._metrics.count(SESSIONS_ENDED, plan.session.status)
            await self._release(plan, hold)
            return plan.answers

    async def _plan(self, loaded: Session, rules: Sequence[Rule[Any]], hold: Hold) -> Plan:
        """Apply the rules and claim whom they seat; without the refused ones until all fits."""
        refused: dict[str, ApiError] = {}
        while True:
            plan = Plan.of(loaded, rules, refused)
            lacking = hold.lacks(plan.newcomers)
            if not lacking:
                return plan
            refused |= await self._claims.take(hold, lacking)

    async def _write(self, plan: Plan, hold: Hold, unanswered: dict[str, Plan]) -> bool:
        """Write what the plan changed if nobody else wrote since its session was loaded.

        A plan whose answer is lost goes to `unanswered`, by its token; the second one raises.
        """
        loaded, session = plan.loaded, plan.session.model_copy()
        if plan.session is loaded:
            return True
        claims = {m.player_id: m.claim for m in loaded.members}
        session.members = tuple(
            m.model_copy(update={"claim": claims.get(m.player_id, hold.token)})
            for m in session.members
        )
        session.revision = loaded.revision + 1
        session.writes = (*loaded.writes, hold.token)[-WRITES_KEPT:]
        plan.session = session
        try:
            result = await self._sessions.replace_one(
                {"_id": session.id, "revision": loaded.revision}, session.model_dump_doc()
            )
        except OUTCOME_UNKNOWN:
            if unanswered:
                raise
            unanswered[hold.token] = plan
            return False
        return result.matched_count == 1

    async def _release(self, plan: Plan, hold: Hold) -> None:
        """Free the claims of those who lost their seat, or were claimed and got none."""
        seated = {m.player_id for m in plan.session.members} if plan.session.live else set()
        tokens = hold.unused(seated)
        if plan.session is not plan.loaded:
            for member in (*plan.loaded.members, *plan.session.members):
                if member.player_id not in seated and member.claim is not None:
                    tokens[member.player_id] = member.claim
        try:
            with pymongo.timeout(RELEASE_SECONDS):
                await self._claims.release(tokens)
        except PyMongoError:
            pass  # the change is made; a claim without a seat stands in nobody's way


def written(loaded: Session, unanswered: Mapping[str, Plan]) -> Plan | None:
    """The plan that was written after all, though its answer was lost.

    Raises DatabaseUnavailable when so much was written since that it can't be told.
    """
    for token, plan in unanswered.items():
        if token in loaded.writes:
            return plan
        if loaded.revision - plan.loaded.revision > WRITES_KEPT:
            raise DatabaseUnavailable()
    return None
