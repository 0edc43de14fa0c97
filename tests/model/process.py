"""A process of the service: the real stores on a virtual loop, whose commands wait for replies."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pymongo
from pymongo import _csot
from pymongo.errors import AutoReconnect, ExecutionTimeout, NetworkTimeout, WriteConcernError

from game_api.access.idempotency import KeyedRequests
from game_api.database.client import DEADLINE, GRACE
from game_api.database.errors import is_unavailable
from game_api.errors import ApiError, DatabaseUnavailable
from game_api.observability.metrics import Metrics
from game_api.players.store import PlayerStore
from game_api.seats.claims import Claims
from game_api.sessions.store import SessionStore
from tests.model.loop import VirtualLoop
from tests.model.memory import Command, Contents, MemoryConnection, execute, result

LATENCY = 0.02
"""How many seconds of virtual time a command takes."""

METRICS = Metrics()


class Stores:
    """The stores of one process."""

    def __init__(self, connection: MemoryConnection) -> None:
        claims = Claims(connection)
        self.players = PlayerStore(connection, claims)
        self.sessions = SessionStore(connection, claims, METRICS)
        self.keyed_requests = KeyedRequests(connection)


class Request(Protocol):
    """A request that a process handles."""

    async def run(self, stores: Stores) -> Any:
        """Handle the request; returns what its response depends on."""
        ...


@dataclass(frozen=True)
class Told:
    """The response to a request."""

    kind: str
    """`done`, `refused`, `unavailable`, or `error` for anything that should not happen."""
    details: Any = None

    def __str__(self) -> str:
        return self.kind if self.details is None else f"{self.kind} {self.details}"


@dataclass(frozen=True)
class Pending:
    """A command that a process has sent, and whose reply it waits for."""

    number: int
    command: Command
    sent_at: float
    deadline: float


@dataclass(frozen=True)
class View:
    """What can be seen of a process from outside while it waits."""

    pending: tuple[Pending, ...] = ()
    timer: float | None = None
    """When its next timer fires."""
    now: float = 0
    told: tuple[Told | None, ...] = ()
    """The response to each request, as far as there is one."""
    unstarted: tuple[int, ...] = ()
    """The requests that have not arrived yet."""

    @property
    def finished(self) -> bool:
        return not self.pending and self.timer is None and not self.unstarted


class Process:
    """A process that handles requests. The first one arrives at once, the others on `start`."""

    def __init__(
        self, number: int, requests: Sequence[Request], now: float = 0, latency: float = LATENCY
    ) -> None:
        self.loop = VirtualLoop(number, now)
        self._latency = latency
        self._requests = requests
        self._told: list[Told | None] = [None] * len(requests)
        self._unstarted = set(range(len(requests)))
        self._waiting: dict[int, tuple[Pending, asyncio.Future[Any]]] = {}
        self._sent = 0
        self._closed = False
        self._stores = Stores(MemoryConnection(self._execute))
        self.start(0)

    def start(self, index: int) -> None:
        """Let a request arrive."""
        self._unstarted.remove(index)
        self.loop.create_task(self._handle(index))
        self.loop.run_ready()

    def view(self) -> View:
        pending = tuple(pending for pending, _ in self._waiting.values())
        return View(
            pending,
            self.loop.next_timer(),
            self.loop.now,
            tuple(self._told),
            tuple(sorted(self._unstarted)),
        )

    def reply(self, number: int, replies: Sequence[bytes]) -> None:
        """Deliver the replies of the database to the steps of a command."""
        pending, future = self._waiting[number]
        self.loop.now = max(self.loop.now, pending.sent_at + self._latency)
        try:
            future.set_result(result(pending.command, replies))
        except pymongo.errors.DuplicateKeyError as error:
            future.set_exception(error)
        self.loop.run_ready()

    def lose(self, number: int, how: str) -> None:
        """Lose the reply to a command.

        `cut`: the connection breaks. `timeout`: the deadline of the request passes first.
        `unacknowledged`: the write is made, and the majority does not confirm it in time.
        """
        pending, future = self._waiting[number]
        if how == "timeout":
            while (timer := self.loop.next_timer()) is not None and timer < pending.deadline:
                self.loop.fire_timer()
            self.loop.now = max(self.loop.now, pending.deadline)
        if not future.done():
            future.set_exception(
                {
                    "cut": AutoReconnect("connection closed"),
                    "timeout": NetworkTimeout("timed out"),
                    "unacknowledged": WriteConcernError("waiting for replication timed out", 64),
                }[how]
            )
        self.loop.run_ready()

    def fire_timer(self) -> None:
        self.loop.fire_timer()

    def close(self) -> None:
        """End all tasks, so that none of them is left unfinished."""
        self._closed = True
        while self.loop.tasks:
            for task in list(self.loop.tasks):
                task.cancel()
            self.loop.run_ready()
        self.loop.close()

    async def _execute(self, command: Command) -> Any:
        if self._closed:
            raise asyncio.CancelledError
        remaining = _csot.remaining()
        if remaining is not None and remaining <= 0:
            # The driver notices that there is no time left, and sends nothing.
            message = "operation would exceed time limit"
            raise ExecutionTimeout(message, 50, {"ok": 0, "errmsg": message, "code": 50})
        self._sent += 1
        now = self.loop.now
        deadline = now + (DEADLINE if remaining is None else remaining)
        future = self.loop.create_future()
        number = self._sent
        self._waiting[number] = (Pending(number, command, now, deadline), future)
        try:
            return await future
        finally:
            self._waiting.pop(number, None)  # The task may have been cancelled.

    async def _handle(self, index: int) -> None:
        """Handle a request as the routes do."""
        try:
            async with asyncio.timeout(DEADLINE + GRACE):
                with pymongo.timeout(DEADLINE):
                    told = Told("done", await self._requests[index].run(self._stores))
        except TimeoutError:
            told = Told("unavailable")
        except ApiError as error:
            told = Told("refused", (error.code, tuple(sorted(error.extra.items()))))
            if isinstance(error, DatabaseUnavailable):
                told = Told("unavailable")
        except Exception as error:
            told = Told("unavailable") if is_unavailable(error) else Told("error", repr(error))
        self._told[index] = told


def run_alone(
    contents: Contents, number: int, requests: Sequence[Request], now: float
) -> tuple[Contents, tuple[Told | None, ...]]:
    """Run a process without any other one, and without faults.

    Returns the contents of the database afterwards, and the responses.
    """
    process = Process(number, requests, now)
    view = process.view()
    while not view.finished:
        if view.pending:
            replies = []
            for step in view.pending[0].command.steps:
                contents, reply = execute(contents, step)
                replies.append(reply)
            process.reply(view.pending[0].number, replies)
        elif view.unstarted:
            process.start(view.unstarted[0])
        else:
            process.fire_timer()
        view = process.view()
    process.close()
    return contents, view.told
