"""Metrics: CloudWatch and Prometheus get each recorded value exactly once."""

import json
import re
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from game_api.database.client import Database
from game_api.observability import metrics as metrics_module
from game_api.observability.metrics import (
    API_LATENCY,
    CONFLICTS_RETRIED,
    ERROR_RATE,
    GROUP_COMMIT_SIZE,
    INSTRUMENTS,
    JOINS,
    REQUEST_COUNT,
    SEATED_PLAYERS,
    Metrics,
)
from tests.aws import samples, total
from tests.observability.readers import documents_of, samples_of
from tests.service import Service

Api = httpx2.AsyncClient
Start = Callable[..., Service]


async def test_requests_are_counted_by_the_template_of_their_route(
    api: Api, metrics: Metrics
) -> None:
    await api.post("/api/v1/players", json={"username": "ada", "player_id": "ada"})
    for player_id in ("ada", "bob", "cleo"):
        await api.get(f"/api/v1/players/{player_id}")
    await api.get("/nope")
    await api.get("/health")
    await api.get("/health/ready")
    documents = documents_of(metrics)
    assert total(documents, "RequestCount") == 5
    assert total(documents, "RequestCount", Route="/api/v1/players/{player_id}") == 3
    assert total(documents, "RequestCount", Route="unmatched") == 1
    assert samples(documents, "APILatency") == samples(documents, "ErrorRate") == 5
    assert total(documents, "ErrorRate") == 0
    routes = {document["Route"] for document in documents if "Route" in document}
    assert routes == {"/api/v1/players", "/api/v1/players/{player_id}", "unmatched"}
    directive = next(d for d in documents if "Route" in d)["_aws"]["CloudWatchMetrics"][0]
    assert directive["Dimensions"] == [[], ["Route"]]


async def test_only_5xx_is_an_error(api: Api, metrics: Metrics, database: Database) -> None:
    await database.players.insert_one({"_id": "broken"})
    await api.get("/api/v1/players/broken")
    await api.get("/api/v1/players/nobody")
    rates = [d["ErrorRate"] for d in documents_of(metrics) if "ErrorRate" in d]
    assert sorted(sum(rates, [])) == [0, 100]


async def test_joins_sessions_and_commands_are_measured(api: Api, metrics: Metrics) -> None:
    for name in ("ada", "bob"):
        await api.post("/api/v1/players", json={"username": name, "player_id": name})
    body = {"name": "s", "game_mode": "duel", "max_players": 1}
    session = (await api.post("/api/v1/sessions", json=body)).json()
    path = f"/api/v1/sessions/{session['session_id']}"
    await api.put(f"{path}/players/ada")
    await api.put(f"{path}/players/ada")
    await api.put(f"{path}/players/bob")
    await api.post(f"{path}/players", json={"player_ids": ["ada"]})
    await api.put(path, json={"status": "cancelled"})
    await api.put(path, json={"status": "cancelled"})
    documents = documents_of(metrics)
    assert total(documents, "Joins", Outcome="seated") == 1
    assert total(documents, "Joins", Outcome="already_seated") == 2
    assert total(documents, "Joins", Outcome="session_full") == 1
    assert total(documents, "SessionsCreated") == 1
    assert total(documents, "SessionsEnded", Status="cancelled") == 1
    assert samples(documents, "GroupCommitSize") == 6 == total(documents, "GroupCommitSize")
    assert total(documents, "DatabaseCommandsInFlight") == 0
    commands = {d["Command"] for d in documents if "Command" in d}
    assert {"find", "insert", "update"} <= commands


observation = st.one_of(
    st.tuples(st.just(API_LATENCY), st.sampled_from(["/a", "/b"]), st.floats(0, 1e5)),
    st.tuples(st.just(ERROR_RATE), st.sampled_from(["/a", "/b"]), st.sampled_from([0, 100])),
    st.tuples(st.just(GROUP_COMMIT_SIZE), st.just(""), st.integers(1, 1000)),
    st.tuples(st.just(REQUEST_COUNT), st.sampled_from(["/a", "/b"]), st.integers(1, 5)),
    st.tuples(st.just(JOINS), st.sampled_from(["seated", "session_full"]), st.integers(1, 5)),
    st.tuples(st.just(CONFLICTS_RETRIED), st.just(""), st.integers(1, 5)),
)


@given(st.lists(st.lists(observation, max_size=250), max_size=4))
def test_both_readers_get_every_value_once(reports: list[list[Any]]) -> None:
    """Reports are made at any time, and there are more values than one array may hold."""
    metrics = Metrics()
    documents: list[dict[str, Any]] = []
    recorded: dict[tuple[str, str], list[float]] = {}
    for number, observations in enumerate(reports):
        for instrument, label, value in observations:
            if instrument.kind == "counter":
                metrics.count(instrument, label, value)
            else:
                metrics.observe(instrument, value, label)
            recorded.setdefault((instrument.name, label), []).append(value)
        if number < len(reports) - 1:
            documents += documents_of(metrics)
    before = samples_of(metrics)
    documents += documents_of(metrics)
    assert samples_of(metrics) == pytest.approx(before), "a report must not change the samples"
    for instrument in INSTRUMENTS:
        for label in ("/a", "/b", "", "seated", "session_full"):
            values = recorded.get((instrument.name, label), [])
            if not values:
                continue
            where = {instrument.dimension: label} if instrument.dimension else {}
            assert total(documents, instrument.name, **where) == pytest.approx(sum(values))
            suffix = "_total" if instrument.kind == "counter" else "_sum"
            name = instrument.prometheus_name + suffix
            assert before[name, label] == pytest.approx(sum(values) * instrument.scale)
            if instrument.kind == "values":
                count = before[instrument.prometheus_name + "_count", label]
                assert count == len(values)


def test_several_threads_can_record_at_once() -> None:
    metrics = Metrics()
    documents: list[dict[str, Any]] = []

    def record() -> None:
        for _ in range(3000):
            metrics.request("/a", 1.5, status=200)

    threads = [threading.Thread(target=record) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        documents += documents_of(metrics)
        samples_of(metrics)
    documents += documents_of(metrics)
    assert total(documents, "RequestCount") == samples(documents, "APILatency") == 12_000
    assert samples_of(metrics)["game_session_api_latency_seconds_count", "/a"] == 12_000


def test_pending_values_are_bounded_without_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prometheus gets all of them nevertheless."""
    monkeypatch.setattr(metrics_module, "MAX_PENDING", 10)
    metrics = Metrics()
    for _ in range(25):
        metrics.request("/a", 1.5, status=200)
        metrics.observe(GROUP_COMMIT_SIZE, 2)
    assert samples_of(metrics)["game_session_api_latency_seconds_count", "/a"] == 25
    assert samples_of(metrics)["game_session_group_commit_size_sum", ""] == 50
    assert samples(documents_of(metrics), "APILatency") == 5


def test_each_metric_has_a_name_for_cloudwatch_and_one_for_prometheus() -> None:
    names = {instrument.name: instrument.prometheus_name for instrument in INSTRUMENTS}
    assert len(names) == len(INSTRUMENTS) == 16
    assert names["APILatency"] == "game_session_api_latency_seconds"
    assert names["RequestCount"] == "game_session_request_count"
    assert names["ErrorRate"] == "game_session_error_rate_ratio"
    assert SEATED_PLAYERS.prometheus_name == "game_session_seated_players"


def test_prometheus_scrapes_a_separate_port(start_service: Start, service_database: str) -> None:
    service = start_service(
        GAME_API_MONGODB_URI=service_database, GAME_API_METRICS_PORT="0"
    ).wait_until_ready()
    httpx2.get(f"{service.address}/api/v1/players/x")
    match = re.search(r"Prometheus at (http://[^\s\"]+/metrics)", service.output)
    assert match
    text = httpx2.get(match[1]).text
    assert 'game_session_request_count_total{route="/api/v1/players/{player_id}"} 1.0' in text
    assert 'le="0.005"' in text and 'le="+Inf"' in text
    assert httpx2.get(f"{service.address}/metrics").status_code == 404
    assert service.terminate() == 0


def test_a_prometheus_port_in_use_is_reported(start_service: Start, service_database: str) -> None:
    first = start_service(GAME_API_MONGODB_URI=service_database).wait_until_ready()
    port = first.address.rpartition(":")[2]
    second = start_service(GAME_API_MONGODB_URI=service_database, GAME_API_METRICS_PORT=port)
    assert second.wait() == 1
    assert f"can't listen on 127.0.0.1:{port}: Address already in use" in second.output


def test_metric_documents_are_written_to_stdout_only_if_configured(
    start_service: Start, service_database: str
) -> None:
    for setting, expected in (("off", 0), ("stdout", 3)):
        service = start_service(
            GAME_API_MONGODB_URI=service_database, GAME_API_METRICS=setting
        ).wait_until_ready()
        for _ in range(3):
            httpx2.get(f"{service.address}/api/v1/players/x")
        assert service.terminate() == 0
        documents = [json.loads(line) for line in service.lines if '"_aws"' in line]
        assert total(documents, "RequestCount") == expected
