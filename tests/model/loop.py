"""Virtual time: an event loop, clocks, tokens and random numbers that depend on nothing else.

A process runs on a loop of its own. Time passes only when the explorer fires a timer, so a process
does the same again whenever it gets the same results in the same order.
"""

import asyncio
import heapq
import random
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import Context
from datetime import datetime, timedelta, tzinfo
from types import ModuleType
from typing import Any, TypeVarTuple, Unpack
from unittest.mock import patch

import pymongo._csot
from uuid_utils import UUID, uuid4, uuid7

from game_api import clock
from tests.build import NOW

Arguments = TypeVarTuple("Arguments")

CLOCK_ZERO = NOW + timedelta(hours=1)
"""The date and time at the virtual time 0."""


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop that is run by hand, and whose timers fire only on demand."""

    current: "VirtualLoop | None" = None
    """The loop that is running."""

    def __init__(self, number: int, now: float) -> None:
        super().__init__()
        self.number = number
        """The number of the process; it makes the tokens of processes different."""
        self.now = now
        self.tokens_made = 0
        self.tasks: set[asyncio.Task[Any]] = set()
        self._callbacks: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._timers_made = 0

    def time(self) -> float:
        return self.now

    def call_soon(
        self,
        callback: Callable[[Unpack[Arguments]], object],
        *args: Unpack[Arguments],
        context: Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._callbacks.append(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Arguments]], object],
        *args: Unpack[Arguments],
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers_made += 1
        heapq.heappush(self._timers, (when, self._timers_made, timer))
        return timer

    def create_task(self, coro: Any, **options: Any) -> "asyncio.Task[Any]":
        task = super().create_task(coro, **options)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def run_ready(self) -> None:
        """Run until every task waits for a command or a timer."""
        previous, VirtualLoop.current = VirtualLoop.current, self
        running = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            while self._callbacks:
                handle = self._callbacks.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            asyncio._set_running_loop(running)
            VirtualLoop.current = previous

    def next_timer(self) -> float | None:
        """When the next timer fires."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def fire_timer(self) -> None:
        """Let time pass until the next timer, and run."""
        assert self.next_timer() is not None
        when, _, timer = heapq.heappop(self._timers)
        self.now = max(self.now, when)
        timer._run()
        self.run_ready()

    def unique_number(self, version: int) -> UUID:
        """A UUID that depends only on the process, its time, and the number of earlier ones."""
        self.tokens_made += 1
        milliseconds = int((CLOCK_ZERO.timestamp() + self.now) * 1000)
        unique = self.number << 32 | self.tokens_made
        return UUID(int=milliseconds << 80 | version << 76 | 2 << 62 | unique)


def number_of_process(token: str) -> int:
    """The number of the process that made a token."""
    return UUID(token).int >> 32 & 0xFFFF


class VirtualClock:
    """What the module `time` offers, on virtual time."""

    @staticmethod
    def monotonic() -> float:
        loop = VirtualLoop.current
        return loop.now if loop else time.monotonic()

    perf_counter = monotonic

    @staticmethod
    def time() -> float:
        loop = VirtualLoop.current
        return CLOCK_ZERO.timestamp() + loop.now if loop else time.time()


class VirtualDatetime(datetime):
    """A datetime whose `now` is the virtual time."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        loop = VirtualLoop.current
        return CLOCK_ZERO + timedelta(seconds=loop.now) if loop else datetime.now(tz)


class VirtualRandom:
    """What the module `random` offers; the numbers differ between processes, and never change."""

    @staticmethod
    def uniform(low: float, high: float) -> float:
        loop = VirtualLoop.current
        if loop is None:
            return random.uniform(low, high)
        return low + (high - low) * (loop.number % 4) / 4


def random_uuid() -> UUID:
    loop = VirtualLoop.current
    return loop.unique_number(version=4) if loop else uuid4()


def timed_uuid() -> UUID:
    loop = VirtualLoop.current
    return loop.unique_number(version=7) if loop else uuid7()


REPLACEMENTS = {
    id(time): VirtualClock,
    id(random): VirtualRandom,
    id(uuid4): random_uuid,
    id(uuid7): timed_uuid,
}


@contextmanager
def virtual_time() -> Iterator[None]:
    """Replace the sources of time and chance in the service and in the driver's deadlines."""
    modules: list[ModuleType] = [pymongo._csot]
    modules += [module for name, module in sys.modules.items() if name.startswith("game_api.")]
    with ExitStack() as stack:
        stack.enter_context(patch.object(clock, "datetime", VirtualDatetime))
        for module in modules:
            for name, value in list(vars(module).items()):
                if id(value) in REPLACEMENTS:
                    stack.enter_context(patch.object(module, name, REPLACEMENTS[id(value)]))
        yield
