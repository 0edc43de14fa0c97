"""Measurements of the database, and the periodic report of all metrics."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pymongo
from pymongo.errors import PyMongoError

from game_api.observability.logs import METRICS_LOGGER
from game_api.observability.metrics import (
    DATABASE_COMMANDS_IN_FLIGHT,
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


class DatabaseMonitor:
    """Measures the commands of the stores."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics

    def started(self) -> None:
        self.metrics.add(DATABASE_COMMANDS_IN_FLIGHT, 1)

    def ended(self, name: str, seconds: float) -> None:
        self.metrics.add(DATABASE_COMMANDS_IN_FLIGHT, -1)
        self.metrics.observe(DATABASE_LATENCY, seconds * 1000, name)


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
