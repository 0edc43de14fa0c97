"""What is measured by watching: the driver's events, the database's contents, the passing time."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pymongo
from pymongo.errors import PyMongoError
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)

from game_api.logs import METRICS_LOGGER
from game_api.metrics import (
    DATABASE_CONNECTIONS,
    DATABASE_CONNECTIONS_IN_USE,
    DATABASE_LATENCY,
    LIVE_SESSIONS,
    REPORT_SECONDS,
    SEATED_PLAYERS,
    Metrics,
)
from game_api.sessions.store import SessionStore

Listener = CommandListener | ConnectionPoolListener

CENSUS_SECONDS = 2
CENSUS_EVERY = 6
"""How many reports pass from one count of all live sessions to the next."""

log = logging.getLogger(METRICS_LOGGER)


class DatabaseMonitor(CommandListener, ConnectionPoolListener):
    """Measures the driver's commands and counts its connections."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def started(self, event: CommandStartedEvent) -> None:
        pass

    def succeeded(self, event: CommandSucceededEvent) -> None:
        self.metrics.observe(DATABASE_LATENCY, event.duration_micros / 1000, event.command_name)

    def failed(self, event: CommandFailedEvent) -> None:
        self.metrics.observe(DATABASE_LATENCY, event.duration_micros / 1000, event.command_name)

    def connection_created(self, event: ConnectionCreatedEvent) -> None:
        self.metrics.add(DATABASE_CONNECTIONS, 1)

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        self.metrics.add(DATABASE_CONNECTIONS, -1)

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        self.metrics.add(DATABASE_CONNECTIONS_IN_USE, 1)

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        self.metrics.add(DATABASE_CONNECTIONS_IN_USE, -1)

    # What the driver also tells, and nothing is measured of.
    def pool_created(self, event: PoolCreatedEvent) -> None: ...
    def pool_ready(self, event: PoolReadyEvent) -> None: ...
    def pool_cleared(self, event: PoolClearedEvent) -> None: ...
    def pool_closed(self, event: PoolClosedEvent) -> None: ...
    def connection_ready(self, event: ConnectionReadyEvent) -> None: ...
    def connection_check_out_started(self, event: ConnectionCheckOutStartedEvent) -> None: ...
    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None: ...


@contextlib.asynccontextmanager
async def reporting(metrics: Metrics, sessions: SessionStore) -> AsyncIterator[None]:
    """Reports every ten seconds, and once more at the end."""
    # Told to stop, not cancelled: the driver may swallow a cancellation that comes amid a command.
    stop = asyncio.Event()
    reporter = asyncio.create_task(_report_until(stop, metrics, sessions))
    try:
        yield
    finally:
        stop.set()
        await reporter


async def _report_until(stop: asyncio.Event, metrics: Metrics, sessions: SessionStore) -> None:
    turn = 0
    while not stop.is_set():
        if turn % CENSUS_EVERY == 0:
            with contextlib.suppress(PyMongoError), pymongo.timeout(CENSUS_SECONDS):
                live, seated = await sessions.census()
                metrics.set(LIVE_SESSIONS, live)
                metrics.set(SEATED_PLAYERS, seated)
        turn += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), REPORT_SECONDS)
        report(metrics)


def report(metrics: Metrics) -> None:
    """Log what was recorded since the last report, as metric documents."""
    for document in metrics.documents():
        log.info("%s", document)
