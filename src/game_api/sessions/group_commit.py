"""Group commit: the one way in which a session is changed.

The changes of a session that arrive while a round is in progress wait for the next round. A round
loads the session once, applies all of them in order, writes the session once, and answers each of
them. `docs/concurrency.md` explains the protocol.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pymongo
from pymongo.errors import PyMongoError

from game_api.database.client import DEADLINE, GRACE
from game_api.database.connection import Connection
from game_api.database.errors import OUTCOME_UNKNOWN
from game_api.errors import ApiError, DatabaseUnavailable
from game_api.observability.metrics import (
    CONFLICTS_RETRIED,
    GROUP_COMMIT_SIZE,
    SESSIONS_ENDED,
    Metrics,
)
from game_api.players.errors import PlayerNotFound
from game_api.seats.claims import Claims, Hold, Seat
from game_api.sessions.errors import AlreadyInSession, SessionNotFound
from game_api.sessions.model import Session

Result = TypeVar("Result")
Rule = Callable[[Session], Result]
"""Changes the session that it is given, raises an error, or changes nothing."""

SESSIONS = +Session
MAX_ROUND = 1000
"""The maximum number of changes in one round."""
WRITES_KEPT = 16
"""The number of write tokens that a session keeps."""
RELEASE_SECONDS = 0.5
"""How long the answers of a round may be delayed by the release of claims."""
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.05
"""The limits in seconds of the random pause before another attempt; it doubles each time."""


@dataclass
class Change(Generic[Result]):
    """A rule that waits for its round, and the future of its answer."""

    rule: Rule[Result]
    answer: "asyncio.Future[tuple[Session, Result]]"


@dataclass
class Plan:
    """The result of applying rules to a session in memory, before it is written."""

    loaded: Session
    session: Session
    """The session after every accepted rule; it is `loaded` itself if nothing changed."""
    answers: list[tuple[Session, Any] | Exception]
    """For each rule, the session as the rule left it and the result, or the rule's error."""
    newcomers: set[str]
    """The players whom any of the rules seats, and who had no seat when the session was loaded."""

    @classmethod
    def make(
        cls, loaded: Session, rules: Sequence[Rule[Any]], refused: Mapping[str, ApiError]
    ) -> "Plan":
        """Apply the rules in order. A rule that would seat a refused player fails."""
        plan = cls(loaded, loaded, [], set())
        seated = {member.player_id for member in loaded.members}
        for rule in rules:
            # Each rule works on a copy, so that a refused one leaves no trace.
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


class Round:
    """One round of changes of one session."""

    def __init__(
        self,
        connection: Connection,
        claims: Claims,
        metrics: Metrics,
        session_id: str,
        rules: Sequence[Rule[Any]],
    ) -> None:
        self._connection = connection
        self._claims = claims
        self._metrics = metrics
        self._session_id = session_id
        self._rules = rules
        self.hold = Hold(session_id)
        self._unanswered: tuple[str, Plan] | None = None
        """The token and the plan of a write whose response was lost."""

    async def run(self) -> Sequence[tuple[Session, Any] | Exception]:
        """Load, apply, claim and write; start over if another process wrote in between.

        Returns the answer of each rule.
        """
        pause = FIRST_PAUSE
        while True:
            loaded = await load(self._connection, self._session_id)
            plan = self.find_written(loaded)
            if plan is None:
                plan = await self.make_plan(loaded)
                if not await self.write(plan):
                    self._metrics.count(CONFLICTS_RETRIED)
                    await asyncio.sleep(random.uniform(0, pause))
                    pause = min(2 * pause, LONGEST_PAUSE)
                    self.hold.renew()
                    continue
            if plan.loaded.live and not plan.session.live:
                self._metrics.count(SESSIONS_ENDED, plan.session.status)
            await self.release(plan)
            return plan.answers

    async def make_plan(self, loaded: Session) -> Plan:
        """Apply the rules and claim the players whom they seat.

        Repeats this without the players who are refused, until all newcomers are claimed.
        """
        refused: dict[str, ApiError] = {}
        while True:
            plan = Plan.make(loaded, self._rules, refused)
            unclaimed = self.hold.unclaimed(plan.newcomers)
            if not unclaimed:
                return plan
            refused |= refusals(await self._claims.take(self.hold, unclaimed))

    async def write(self, plan: Plan) -> bool:
        """Write the changes of a plan, unless another process wrote since the session was loaded.

        If the response is lost, the plan is remembered and False is returned; the second time it
        raises the driver's error.
        """
        loaded, session = plan.loaded, plan.session.model_copy()
        if plan.session is loaded:
            return True
        claims = {m.player_id: m.claim for m in loaded.members}
        session.members = tuple(
            m.model_copy(update={"claim": claims.get(m.player_id, self.hold.token)})
            for m in session.members
        )
        session.revision = loaded.revision + 1
        session.writes = (*loaded.writes, self.hold.token)[-WRITES_KEPT:]
        plan.session = session
        try:
            result = await self._connection.run(
                lambda database: database[SESSIONS].replace_one(
                    {"_id": session.id, "revision": loaded.revision}, session.model_dump_doc()
                )
            )
        except OUTCOME_UNKNOWN:
            if self._unanswered:
                raise
            self._unanswered = (self.hold.token, plan)
            return False
        return result.matched_count == 1

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
        """Free the claims of the players who lost their seats, or were claimed and got none."""
        seated = {m.player_id for m in plan.session.members} if plan.session.live else set()
        tokens = self.hold.unused(seated)
        if plan.session is not plan.loaded:
            for member in (*plan.loaded.members, *plan.session.members):
                if member.player_id not in seated and member.claim is not None:
                    tokens[member.player_id] = member.claim
        try:
            with pymongo.timeout(RELEASE_SECONDS):
                await self._claims.release(tokens)
        except PyMongoError:
            pass  # The change is made, and a claim without a seat does not block the player.


class GroupCommit:
    """The queues of changes, one for each session that is being changed."""

    def __init__(self, connection: Connection, claims: Claims, metrics: Metrics) -> None:
        self._connection = connection
        self._claims = claims
        self._metrics = metrics
        self._waiting: dict[str, list[Change[Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def change(self, session_id: str, rule: Rule[Result]) -> tuple[Session, Result]:
        """Apply a rule to a session.

        Returns the session as the rule left it, and the result of the rule. Raises what the rule
        raises, SessionNotFound, DatabaseUnavailable after the deadline, and PlayerNotFound or
        AlreadyInSession for a player whom the rule would seat.
        """
        change = Change(rule, asyncio.get_running_loop().create_future())
        if session_id in self._waiting:
            self._waiting[session_id].append(change)
        else:
            self._waiting[session_id] = [change]
            # An empty context, so that the deadline of the first request is not that of the others.
            task = asyncio.create_task(self._work(session_id), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            async with asyncio.timeout(DEADLINE + GRACE / 2):
                return await change.answer
        except TimeoutError:
            raise DatabaseUnavailable() from None

    async def aclose(self) -> None:
        """Wait until every round has ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, session_id: str) -> None:
        """Run rounds as long as changes of this session are waiting."""
        waiting = self._waiting[session_id]
        changes: list[Change[Any]] = []
        try:
            while waiting:
                await asyncio.sleep(0)  # Lets other requests that are ready join this round.
                changes, waiting[:] = waiting[:MAX_ROUND], waiting[MAX_ROUND:]
                answers = await self._answers(session_id, changes, waiting)
                for change, answer in zip(changes, answers, strict=True):
                    if change.answer.done():  # The request has ended already.
                        continue
                    if isinstance(answer, Exception):
                        change.answer.set_exception(answer)
                    else:
                        change.answer.set_result(answer)
        finally:
            del self._waiting[session_id]
            for change in [*changes, *waiting]:
                change.answer.cancel()  # Answers are missing only if this task is cancelled.

    async def _answers(
        self, session_id: str, changes: list[Change[Any]], waiting: list[Change[Any]]
    ) -> Sequence[Any]:
        """The answers of a round. If the round fails, the waiting changes fail with it."""
        self._metrics.observe(GROUP_COMMIT_SIZE, len(changes))
        rules = [change.rule for change in changes]
        try:
            async with asyncio.timeout(DEADLINE + GRACE):
                with pymongo.timeout(DEADLINE):
                    return await Round(
                        self._connection, self._claims, self._metrics, session_id, rules
                    ).run()
        except TimeoutError:
            error: Exception = DatabaseUnavailable()
        except Exception as failure:
            error = failure
        # The waiting changes would meet the same failure, but only after another deadline.
        changes += waiting
        waiting.clear()
        return [error] * len(changes)


async def load(connection: Connection, session_id: str) -> Session:
    """Load a session. Raises SessionNotFound."""
    document = await connection.run(
        lambda database: database[SESSIONS].find_one({"_id": session_id})
    )
    if document is None or "version" not in document:  # Either nothing or a tombstone.
        raise SessionNotFound(session_id)
    return Session.model_validate_doc(document)


def refusals(refused: Mapping[str, Seat | None]) -> dict[str, ApiError]:
    """Why these players can't be seated, as errors."""
    return {
        player_id: (
            PlayerNotFound(player_id)
            if seat is None
            else AlreadyInSession(seat.session_id, player_id)
        )
        for player_id, seat in refused.items()
    }
