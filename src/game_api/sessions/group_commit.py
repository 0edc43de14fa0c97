"""Group commit: the one way in which a session is changed.

The changes of a session that arrive while a round is in progress wait for the next round. A round
loads the session once, applies all of them in order, writes the session once, and answers each of
them. A change whose players are claimed by other sessions leaves the round, so that it delays no
other change; it returns when these claims are settled. `docs/concurrency.md` explains the protocol.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextvars import Context
from datetime import timedelta
from typing import Any

import pymongo
from pymongo.errors import PyMongoError

from game_api.database.client import DEADLINE, GRACE
from game_api.database.connection import Connection
from game_api.database.errors import is_unavailable
from game_api.errors import ApiError, DatabaseUnavailable
from game_api.observability.metrics import GROUP_COMMIT_SIZE, Metrics
from game_api.seats.claims import Claims, Contest, Hold
from game_api.sessions.errors import AlreadyInSession, SessionNotFound
from game_api.sessions.model import Session
from game_api.sessions.rounds import (
    RELEASE_SECONDS,
    Answer,
    Change,
    Deferred,
    Result,
    Round,
    Rule,
    WriteRejected,
)

MAX_ROUND = 1000
"""The maximum number of changes in one round."""

log = logging.getLogger(__name__)


class RoundFailed(Exception):
    """An unexpected error, the cause, has failed all changes of a round."""


class GroupCommit:
    """The queues of changes, one for each session that is being changed."""

    def __init__(
        self, connection: Connection, claims: Claims, metrics: Metrics, retention: timedelta
    ) -> None:
        self._connection = connection
        self._claims = claims
        self._metrics = metrics
        self._retention = retention
        self._waiting: dict[str, list[Change[Any]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def change(self, session_id: str, rule: Rule[Result]) -> tuple[Session, Result]:
        """Apply a rule to a session.

        Returns the session as the rule left it, and the result of the rule. Raises what the rule
        raises, SessionNotFound, DatabaseUnavailable after the deadline, and PlayerNotFound or
        AlreadyInSession for a player whom the rule would seat.
        """
        change = Change(rule, asyncio.get_running_loop().create_future())
        self._enqueue(session_id, [change])
        try:
            async with asyncio.timeout(DEADLINE + GRACE / 2):
                return await change.answer
        except TimeoutError:
            raise DatabaseUnavailable() from None

    async def aclose(self) -> None:
        """Wait until every change that has begun has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _enqueue(self, session_id: str, changes: Sequence[Change[Any]]) -> None:
        if session_id in self._waiting:
            self._waiting[session_id].extend(changes)
        else:
            self._waiting[session_id] = list(changes)
            self._spawn(self._work(session_id))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        # An empty context, so that the deadline of the first request is not that of the others.
        task = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, session_id: str) -> None:
        """Run rounds as long as changes of this session are waiting."""
        waiting = self._waiting[session_id]
        changes: list[Change[Any]] = []
        try:
            while waiting:
                await asyncio.sleep(0)  # Lets other requests that are ready join this round.
                changes, waiting[:] = waiting[:MAX_ROUND], waiting[MAX_ROUND:]
                self._metrics.observe(GROUP_COMMIT_SIZE, len(changes))
                await self._commit(session_id, changes)
        except asyncio.CancelledError:
            for change in [*changes, *waiting]:
                change.answer.cancel()
            raise
        finally:
            del self._waiting[session_id]

    async def _commit(self, session_id: str, changes: list[Change[Any]]) -> None:
        """Run a round and answer its changes."""
        try:
            async with asyncio.timeout(DEADLINE + GRACE):
                with pymongo.timeout(DEADLINE):
                    answers = await self._round(session_id, changes).run()
        except WriteRejected as rejected:
            if len(changes) == 1:
                fail(changes[0], rejected.error)
                return
            # Find the change that can't be written, so that it fails alone.
            middle = len(changes) // 2
            await self._commit(session_id, changes[:middle])
            await self._commit(session_id, changes[middle:])
        except Exception as error:
            # The waiting changes would meet the same failure, but only after another deadline.
            waiting = self._waiting[session_id]
            fail_all(session_id, [*changes, *waiting], error)
            waiting.clear()
        else:
            self._answer(session_id, changes, answers)

    def _round(self, session_id: str, changes: Sequence[Change[Any]]) -> Round:
        return Round(
            self._connection, self._claims, self._metrics, self._retention, session_id, changes
        )

    def _answer(
        self, session_id: str, changes: Sequence[Change[Any]], answers: Sequence[Answer]
    ) -> None:
        """Pass the answers on, and contest the claims that some changes still need."""
        deferred: list[tuple[Change[Any], Deferred]] = []
        for change, answer in zip(changes, answers, strict=True):
            if isinstance(answer, Deferred):
                deferred.append((change, answer))
            elif isinstance(answer, Exception):
                fail(change, answer)
            elif answer is not None and not change.abandoned:
                change.answer.set_result(answer)
        if deferred:
            self._spawn(self._contest(session_id, deferred))

    async def _contest(
        self, session_id: str, deferred: Sequence[tuple[Change[Any], Deferred]]
    ) -> None:
        """Settle the claims of other sessions, and return the changes to the queue."""
        claims = {p: c for _, needed in deferred for p, c in needed.claims.items()}
        attempt = max(change.attempt for change, _ in deferred)
        latency = max(needed.latency for _, needed in deferred)
        try:
            async with asyncio.timeout(DEADLINE + GRACE):
                with pymongo.timeout(DEADLINE):
                    contest = await self._claims.contest(session_id, claims, attempt, latency)
        except TimeoutError as error:
            contest = Contest(failure=error)
        returning: list[Change[Any]] = []
        failed: list[tuple[Change[Any], Exception]] = []
        for change, needed in deferred:
            change.attempt += 1
            won = {p: t for p, t in contest.tokens.items() if p in needed.claims}
            change.tokens |= won
            change.shared = {p: t for p, t in change.shared.items() if p not in won}
            reason = contest_error(needed, contest)
            if reason is not None:
                failed.append((change, reason))
            elif not change.abandoned:
                returning.append(change)
        kept = {p for change in returning for p in change.tokens}
        unused = {p: t for c, _ in deferred for p, t in c.tokens.items() if p not in kept}
        if returning:
            self._enqueue(session_id, returning)
        if unused:
            shared = {p: t for c, _ in deferred for p, t in c.shared.items() if p in unused}
            await self._release(Hold(session_id, unused, shared))
        for change, reason in failed:
            if isinstance(reason, ApiError):
                fail(change, reason)
            else:
                fail_all(session_id, [change], reason)

    async def _release(self, hold: Hold) -> None:
        """Free claims that no change needs any more."""
        try:
            with pymongo.timeout(RELEASE_SECONDS):
                await self._claims.release(hold, hold.tokens)
        except PyMongoError:
            pass  # A claim without a seat does not block the player.


def contest_error(needed: Deferred, contest: Contest) -> Exception | None:
    """Why the players of a change can't be had; None if the change may try again."""
    for player_id in needed.claims:
        if player_id in contest.seated:
            return AlreadyInSession(contest.seated[player_id], player_id)
    if not needed.claims.keys() <= contest.tokens.keys():
        return contest.failure
    return None


def fail(change: Change[Any], error: Exception) -> None:
    """Answer a change with an error."""
    if not change.abandoned:
        change.answer.set_exception(error)


def fail_all(session_id: str, changes: Sequence[Change[Any]], error: Exception) -> None:
    """Answer changes with the same failure, but with an exception of its own for each."""
    unavailable = is_unavailable(error) or isinstance(error, TimeoutError | DatabaseUnavailable)
    if unavailable:
        log.warning("the database did not answer: %s: %s", type(error).__name__, error)
    for change in changes:
        own: Exception = RoundFailed(str(error))
        if unavailable:
            own = DatabaseUnavailable()
        elif isinstance(error, SessionNotFound):
            own = SessionNotFound(session_id)
        own.__cause__ = error
        fail(change, own)
