"""Reports: sessions and seats are counted, and a failure does not end the reports."""

import asyncio
import logging

import pytest

from game_api.database.client import Database
from game_api.observability import reporting as reporting_module
from game_api.observability.logs import METRICS_LOGGER
from game_api.observability.metrics import Metrics
from game_api.observability.reporting import reporting
from game_api.sessions.store import SessionStore
from tests.build import a_player, a_session
from tests.conftest import Lines
from tests.observability.readers import documents_of, samples_of
from tests.waiting import wait_until_async


async def test_live_sessions_and_seats_are_counted_in_the_database(
    database: Database, sessions: SessionStore, metrics: Metrics
) -> None:
    assert await sessions.count_live() == (0, 0)
    for name in ("ada", "bob"):
        await database.players.insert_one(a_player(name).model_dump_doc())
    await sessions.create(a_session("ada", "bob"))
    await sessions.create(a_session(id="t"))
    await sessions.create(a_session(id="over", status="ended"))
    await database.sessions.insert_one({"_id": "tombstone", "revision": 1})
    assert await sessions.count_live() == (2, 2)
    counted = asyncio.Event()

    async def count_live() -> tuple[int, int]:
        asyncio.get_running_loop().call_soon(counted.set)
        return await sessions.count_live()

    async with reporting(metrics, count_live):
        await counted.wait()
    assert samples_of(metrics)["game_session_live_sessions", ""] == 2
    assert samples_of(metrics)["game_session_seated_players", ""] == 2


async def test_a_failed_count_does_not_end_the_reports(
    metrics: Metrics, log_lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting_module, "REPORT_SECONDS", 0.01)
    monkeypatch.setattr(reporting_module, "REPORTS_PER_COUNT", 1)
    counts, counted_twice = 0, asyncio.Event()

    async def count_live() -> tuple[int, int]:
        nonlocal counts
        counts += 1
        if counts == 2:
            counted_twice.set()
        raise ZeroDivisionError

    async with reporting(metrics, count_live):
        metrics.request("/a", 1.0, status=200)
        await counted_twice.wait()
    assert documents_of(metrics) == []  # All values have been reported.
    failures = [entry for entry in log_lines.entries if entry.get("level") == "error"]
    assert len(failures) == counts and "ZeroDivisionError" in failures[0]["exception"]


async def test_an_unexpected_error_does_not_end_the_reports(
    metrics: Metrics, log_lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter of the logger raises it, once."""
    monkeypatch.setattr(reporting_module, "REPORT_SECONDS", 0.01)
    failures = [ZeroDivisionError()]

    def fail_once(record: logging.LogRecord) -> bool:
        if failures:
            raise failures.pop()
        return True

    async def count_live() -> tuple[int, int]:
        return 0, 0

    logger = logging.getLogger(METRICS_LOGGER)
    logger.addFilter(fail_once)
    try:
        async with reporting(metrics, count_live):
            await wait_until_async(lambda: not failures)
            metrics.request("/a", 1.0, status=200)
            await wait_until_async(lambda: any('"RequestCount": 1' in x for x in log_lines.lines))
    finally:
        logger.removeFilter(fail_once)
    (failure,) = [x for x in log_lines.entries if x.get("level") == "error"]
    assert "the metrics could not be reported" == failure["message"]
