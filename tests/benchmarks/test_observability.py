"""The cost of logging and metrics for a request, also while CloudWatch hangs."""

import logging
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from game_api.database.client import Database, connect
from game_api.database.connection import Connection, FixedConnection, MonitoredConnection
from game_api.http.middleware import RequestContext
from game_api.observability.logs import configure
from game_api.observability.metrics import Metrics
from game_api.observability.reporting import DatabaseMonitor
from game_api.settings import Settings
from tests.aws import environment, hung
from tests.build import a_player
from tests.service import Service

Start = Callable[..., Service]
ROUNDS, CALLS = 7, 3000


async def minimal_app(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that costs as little as possible."""
    scope["route"] = Template
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


class Template:
    path = "/api/v1/players/{player_id}"


@pytest.fixture
def real_handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metrics]:
    """Logging as in production: one output stream, and the queue for CloudWatch."""
    metrics = Metrics()
    root = logging.getLogger()
    handlers, level, factory = root.handlers, root.level, logging.getLogRecordFactory()
    with hung() as endpoint, open(os.devnull, "w") as null:
        for name, value in environment(endpoint).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.stdout", null)
        root.handlers = []
        logs = configure(Settings(), metrics)
        monkeypatch.undo()
        yield metrics
        root.handlers = []
        logs.close()
    root.handlers = handlers
    root.setLevel(level)
    logging.setLogRecordFactory(factory)
    logging.captureWarnings(False)


async def cpu_time(app: ASGIApp) -> float:
    """The CPU time of this thread for one request in microseconds, the best of several rounds."""

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        pass

    best = float("inf")
    for _ in range(ROUNDS):
        started = time.thread_time()
        for _ in range(CALLS):
            scope = {"type": "http", "method": "GET", "path": "/api/v1/players/ada", "headers": []}
            await app(scope, receive, send)
        best = min(best, (time.thread_time() - started) / CALLS * 1e6)
    return best


async def test_the_cost_of_a_log_line_and_metrics_for_a_request(real_handlers: Metrics) -> None:
    without = await cpu_time(minimal_app)
    observed = await cpu_time(RequestContext(minimal_app, real_handlers))
    print(f"\nlog line, id and metrics: {observed - without:.1f} us of CPU per request (limit 40)")


async def test_the_cost_of_measuring_a_command(uri: str, database: Database) -> None:
    await database.players.insert_one(a_player("ada").model_dump_doc())
    async with connect(uri) as client:
        plain = FixedConnection(client.get_default_database())
        connections: dict[str, Connection] = {
            "plain": plain,
            "measured": MonitoredConnection(plain, DatabaseMonitor(Metrics())),
        }
        costs: dict[str, list[float]] = {name: [] for name in connections}
        for _ in range(300):
            for name, connection in connections.items():
                started = time.thread_time()
                for _ in range(20):
                    await connection.run("find", lambda database: database.players.find_one("ada"))
                costs[name].append((time.thread_time() - started) / 20 * 1e6)
    best = {name: min(values) for name, values in costs.items()}  # Noise only adds time.
    print(
        f"\nthe latency of the database: {best['measured'] - best['plain']:.1f} us "
        f"per command, which takes {best['plain']:.0f} us without it"
    )


def resident_memory(service: Service) -> float:
    """The resident memory of the service in MiB."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.timeout(300)
def test_ten_thousand_requests_while_cloudwatch_hangs_use_little_memory(
    start_service: Start, service_database: str
) -> None:
    """The requests alternate with requests to the same service without CloudWatch."""
    with hung() as endpoint:
        services = {
            "stdout only": start_service(GAME_API_MONGODB_URI=service_database),
            "hung": start_service(GAME_API_MONGODB_URI=service_database, **environment(endpoint)),
        }
        clients = {
            name: httpx2.Client(base_url=service.wait_until_ready().address)
            for name, service in services.items()
        }
        times: dict[str, list[float]] = {name: [] for name in services}
        for number in range(10_500):
            for name, client in clients.items():
                started = time.perf_counter()
                assert client.get("/api/v1/players/x").status_code == 404
                times[name].append(time.perf_counter() - started)
            if number == 500:  # Both services are warmed up.
                before = {name: resident_memory(service) for name, service in services.items()}
        grown = {
            name: resident_memory(service) - before[name] for name, service in services.items()
        }
        median = {name: statistics.median(values[500:]) for name, values in times.items()}
        ratio = median["hung"] / median["stdout only"]
        print(
            f"\n10,000 requests while CloudWatch hangs: median {median['hung'] * 1000:.2f} ms, "
            f"{ratio:.3f} times that with stdout only; memory grew by {grown['hung']:.1f} MiB "
            f"(stdout only: {grown['stdout only']:.1f})"
        )
        assert grown["hung"] < 20
