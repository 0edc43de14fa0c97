"""Measurements from the events of the driver, and the periodic report of all metrics."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

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

from game_api.observability.logs import METRICS_LOGGER
from game_api.observability.metrics import (
    DATABASE_CONNECTIONS,
    DATABASE_CONNECTIONS_IN_USE,
    DATABASE_LATENCY,
    LIVE_SESSIONS,
    REPORT_SECONDS,
    SEATED_PLAYERS,
    Metrics,
)

CountLive = Callable[[], Awaitable[tuple[int, int]]]
"""Returns the number of live sessions, and of the players seated in them."""

COUNT_SECONDS = 2
REPORTS_PER_COUNT = 6
"""How many reports are made between two counts of the live sessions."""

log = logging.getLogger(__name__)
metrics_log = logging.getLogger(METRICS_LOGGER)


class DatabaseMonitor(CommandListener, ConnectionPoolListener):
    """Measures the commands of the driver and counts its connections."""

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

    # Events of the driver that are not measured.
    def pool_created(self, event: PoolCreatedEvent) -> None: ...
    def pool_ready(self, event: PoolReadyEvent) -> None: ...
    def pool_cleared(self, event: PoolClearedEvent) -> None: ...
    def pool_closed(self, event: PoolClosedEvent) -> None: ...
    def connection_ready(self, event: ConnectionReadyEvent) -> None: ...
    def connection_check_out_started(self, event: ConnectionCheckOutStartedEvent) -> None: ...
    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None: ...


@contextlib.asynccontextmanager
async def reporting(metrics: Metrics, count_live: CountLive) -> AsyncIterator[None]:
    """Report the metrics every ten seconds, and once more at the end."""
    # An event instead of a cancellation, which the driver may swallow in the middle of a command.
    stop = asyncio.Event()
    reporter = asyncio.create_task(_report_until(stop, metrics, count_live))
    try:
        yield
    finally:
        stop.set()
        await reporter


async def _report_until(stop: asyncio.Event, metrics: Metrics, count_live: CountLive) -> None:
    reports = 0
    while not stop.is_set():
        if reports % REPORTS_PER_COUNT == 0:
            await _measure_live(metrics, count_live)
        reports += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), REPORT_SECONDS)
        try:
            report(metrics)
        except Exception:  # It must not end the reports.
            log.exception("the metrics could not be reported")


async def _measure_live(metrics: Metrics, count_live: CountLive) -> None:
    """Count the live sessions. A failure must not end the reports, so it is only logged."""
    try:
        with pymongo.timeout(COUNT_SECONDS):
            sessions, players = await count_live()
    except PyMongoError:
        return  # Every request that meets this failure is logged already.
    except Exception:
        log.exception("the live sessions could not be counted")
        return
    metrics.set(LIVE_SESSIONS, sessions)
    metrics.set(SEATED_PLAYERS, players)


def report(metrics: Metrics) -> None:
    """Log the values recorded since the last report, as metric documents."""
    for document in metrics.take_documents():
        metrics_log.info("%s", document)
