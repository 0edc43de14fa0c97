"""What is under test: the database, the relay in front of it, and processes of the service."""

import asyncio
import contextlib
import glob
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2

from game_api.database.client import Database, connect
from game_api.database.embedded import EmbeddedDatabase, embedded_database
from tests.chaos.credentials import Credentials
from tests.chaos.relay import Link, Relay, running_relay
from tests.service import Service

NAME = "game"
LIBFAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"
READY_SECONDS = 30.0


class SetupError(Exception):
    """The run can't start; the text says why."""


def find_libfaketime() -> str | None:
    """The library that changes the clock of a process; None if it is not installed.

    Raises SetupError if it is missing in the continuous integration.
    """
    found = sorted(glob.glob(LIBFAKETIME))
    if found:
        return found[0]
    advice = "the Debian package faketime is missing: apt-get install faketime"
    if os.environ.get("CI") == "true":
        raise SetupError(advice)
    print(f"all clocks are correct in this run, because {advice}", file=sys.stderr)
    return None


class Process:
    """One process of the service, behind a link of its own."""

    def __init__(
        self, number: int, link: Link, clock: "Clock", environment: dict[str, str]
    ) -> None:
        self.number = number
        self.link = link
        self.up = False
        """Whether requests should be sent to it; a process that is stopped counts as up."""
        self.interruptions: list[tuple[float, float]] = []
        """When it was not running; the end is infinite until it runs again."""
        self.errors: list[str] = []
        self._clock = clock
        self._environment = environment
        self._services: list[Service] = []
        self._lines_read = 0
        self._busy = asyncio.Lock()

    @property
    def service(self) -> Service:
        return self._services[-1]

    def new_lines(self) -> list[str]:
        """The lines that this process and its predecessors have logged since the last call."""
        lines = [line for service in self._services for line in list(service.lines)]
        new = lines[self._lines_read :]
        self._lines_read = len(lines)
        return new

    async def start(self) -> None:
        environment = {
            "GAME_API_PORT": "0",
            "GAME_API_MONGODB_URI": self.link.uri(NAME),
            **self._environment,
            **self._clock.environment(),
        }
        self._services.append(await asyncio.to_thread(Service, environment))
        await asyncio.to_thread(self.service.wait_until_ready)
        self.up = True

    async def kill(self, down: float, over: asyncio.Event) -> None:
        """kill -9; the process is started again after `down` seconds, or when `over` is set."""
        async with self._busy:
            with self._interrupted():
                self.up = False
                await asyncio.to_thread(self.service.kill)
                await pause(down, over)
                await self.start()

    async def restart(self) -> None:
        """SIGTERM, which has to end with exit code 0, and a new process."""
        async with self._busy:
            with self._interrupted():
                self.up = False
                self.service.process.send_signal(signal.SIGTERM)
                code = await asyncio.to_thread(self.service.wait)
                if code != 0:
                    self.errors.append(f"process {self.number} ended with exit code {code}")
                await self.start()

    async def suspend(self, seconds: float, over: asyncio.Event) -> None:
        """SIGSTOP, and SIGCONT after `seconds`."""
        async with self._busy:
            with self._interrupted():
                self.service.process.send_signal(signal.SIGSTOP)
                try:
                    await pause(seconds, over)
                finally:
                    self.service.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        if self._services:
            self.service.kill()

    @contextlib.contextmanager
    def _interrupted(self) -> Any:
        start = time.monotonic()
        self.interruptions.append((start, float("inf")))
        try:
            yield
        finally:
            self.interruptions[-1] = (start, time.monotonic())


class Clock:
    """The clock of a process, which may be some seconds off."""

    def __init__(self, offset: float, library: str | None, faults: Counter[str]) -> None:
        self.offset = offset if library is not None else 0.0
        self._library = library
        self._faults = faults

    def environment(self) -> dict[str, str]:
        """The variables that change the clock of a process which starts now."""
        if not self.offset or self._library is None:
            return {}
        self._faults["clock off"] += 1
        return {
            "LD_PRELOAD": self._library,
            "FAKETIME": f"{self.offset:+.3f}s",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


class Stack:
    """The database with its relay, and the processes that use it."""

    def __init__(self, database: EmbeddedDatabase, relay: Relay) -> None:
        self.database = database
        self.relay = relay
        self.processes: list[Process] = []
        self.credentials = Credentials()
        self._database_busy = asyncio.Lock()

    async def start(self, clocks: list[Clock]) -> None:
        """Create the indexes, and start a process with each of these clocks."""
        environment = {"GAME_API_MONGODB_URI": f"{self.database.uri}&appName=chaos"}
        made = await asyncio.to_thread(Service, environment, "create-indexes")
        if await asyncio.to_thread(made.wait) != 0:
            raise SetupError(f"create-indexes has failed: {made.output}")
        access = self.credentials.environment()
        for number, clock in enumerate(clocks):
            link = await self.relay.add_link()
            self.processes.append(Process(number, link, clock, access))
        await asyncio.gather(*(process.start() for process in self.processes))

    async def kill_database(self) -> None:
        """kill -9; it is restarted on the same port at once, which takes about a second."""
        async with self._database_busy:
            killed = self.database.process
            assert killed is not None
            killed.kill()
            async with asyncio.timeout(READY_SECONDS):
                while self.database.process is killed or not await self._responds():
                    await asyncio.sleep(0.05)

    async def suspend_database(self, seconds: float, over: asyncio.Event) -> None:
        async with self._database_busy:
            suspended = self.database.process
            assert suspended is not None
            suspended.send_signal(signal.SIGSTOP)
            try:
                await pause(seconds, over)
            finally:
                suspended.send_signal(signal.SIGCONT)

    async def wait_until_ready(self) -> None:
        """Wait until every process says that it is ready."""
        async with asyncio.timeout(READY_SECONDS), httpx2.AsyncClient(timeout=5) as client:
            for process in self.processes:
                while True:
                    with contextlib.suppress(httpx2.HTTPError):
                        url = f"{process.service.address}/health/ready"
                        if (await client.get(url)).status_code == 200:
                            break
                    await asyncio.sleep(0.05)

    @contextlib.asynccontextmanager
    async def direct(self) -> AsyncIterator[Database]:
        """The database, without the relay."""
        async with connect(self.database.uri) as client:
            yield client.get_database(NAME)

    async def _responds(self) -> bool:
        try:
            async with self.direct() as database:
                await database.command("ping")
                return True
        except Exception:
            return False


async def pause(seconds: float, over: asyncio.Event) -> None:
    """Wait for `seconds`, or until `over` is set."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(over.wait(), seconds)


@contextlib.asynccontextmanager
async def running_stack(directory: Path) -> AsyncIterator[Stack]:
    """The database and the relay; the processes are started by `Stack.start`."""
    logging.getLogger("game_api.database.embedded").setLevel(logging.CRITICAL)
    async with embedded_database(directory) as database, running_relay(database.port) as relay:
        stack = Stack(database, relay)
        try:
            yield stack
        finally:
            for process in stack.processes:
                process.end()
