"""Delivery to CloudWatch Logs: it survives an outage, and never delays or fails a request."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from game_api.observability.cloudwatch import MAX_QUEUED_BYTES, BoundedQueue
from tests.aws import CloudWatch, check_document, environment, hung, refusing, samples, total
from tests.service import Service
from tests.waiting import wait_until

Start = Callable[..., Service]


@pytest.fixture
def cloudwatch() -> Iterator[CloudWatch]:
    server = CloudWatch()
    server.start()
    yield server
    server.stop()


def send_requests(service: Service, count: int) -> list[str]:
    """Send this number of requests; returns their ids."""
    with httpx2.Client(base_url=service.address) as client:
        return [client.get("/api/v1/players/x").headers["x-request-id"] for _ in range(count)]


def read(cloudwatch: CloudWatch) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The log entries and the metric documents in the stream."""
    events = [json.loads(message) for message in cloudwatch.messages()]
    documents = [event for event in events if "_aws" in event]
    for document in documents:
        check_document(document)
    return [event for event in events if "_aws" not in event], documents


def logs_of(service: Service) -> dict[str, Any]:
    """The state of log delivery according to /health/detailed."""
    components: dict[str, Any] = httpx2.get(f"{service.address}/health/detailed").json()
    logs: dict[str, Any] = components["components"]["logs"]
    return logs


def test_records_and_metrics_are_delivered_unchanged(
    start_service: Start, service_database: str, cloudwatch: CloudWatch
) -> None:
    service = start_service(
        GAME_API_MONGODB_URI=service_database, **environment(cloudwatch.endpoint)
    ).wait_until_ready()
    ids = send_requests(service, 250)
    assert service.terminate() == 0, service.output
    entries, documents = read(cloudwatch)
    assert [e["request_id"] for e in entries if e["logger"] == "game_api.access"] == ids
    delivered = [m for m in cloudwatch.messages() if '"_aws"' not in m]
    written = [line.rstrip("\n") for line in service.lines]
    assert delivered == written, "the delivered lines must equal those on standard output"
    assert total(documents, "RequestCount") == 250
    assert samples(documents, "APILatency") == samples(documents, "ErrorRate") == 250


def test_an_outage_of_cloudwatch_loses_no_record(
    start_service: Start, service_database: str, cloudwatch: CloudWatch
) -> None:
    cloudwatch.stop()
    service = start_service(
        GAME_API_MONGODB_URI=service_database, **environment(cloudwatch.endpoint)
    ).wait_until_ready()
    ids = send_requests(service, 60)
    wait_until(lambda: logs_of(service)["status"] == "degraded")
    assert logs_of(service)["detail"] == "EndpointConnectionError"
    detailed = httpx2.get(f"{service.address}/health/detailed")
    assert (detailed.status_code, detailed.json()["status"]) == (200, "degraded")
    ids += send_requests(service, 40)
    wait_until(lambda: logs_of(service)["queued"] >= 40)
    cloudwatch.start()
    wait_until(lambda: logs_of(service)["status"] == "ok")
    assert logs_of(service)["dropped"] == 0
    ids += send_requests(service, 20)
    assert service.terminate() == 0, service.output
    entries, documents = read(cloudwatch)
    assert [e["request_id"] for e in entries if e["logger"] == "game_api.access"] == ids
    assert total(documents, "RequestCount") == samples(documents, "APILatency") == len(ids) == 120


@pytest.mark.parametrize("failure", ["hung", "throttling", "refusing", "gone"])
def test_a_failing_cloudwatch_does_not_affect_requests(
    start_service: Start, service_database: str, failure: str
) -> None:
    endpoints = {
        "hung": hung(),
        "throttling": refusing("ThrottlingException", 400),
        "refusing": refusing("UnrecognizedClientException", 400),
        "gone": refusing("ResourceNotFoundException", 400),
    }
    reasons = {
        "hung": "ReadTimeoutError",
        "throttling": "ThrottlingException",
        "refusing": "UnrecognizedClientException",
        "gone": "ResourceNotFoundException",
    }
    with endpoints[failure] as endpoint:
        service = start_service(
            GAME_API_MONGODB_URI=service_database, **environment(endpoint)
        ).wait_until_ready()
        with httpx2.Client(base_url=service.address, timeout=5) as client:
            for _ in range(200):
                assert client.get("/api/v1/players/x").status_code == 404
        wait_until(lambda: logs_of(service)["status"] == "degraded")
        send_requests(service, 5)  # Their records wait behind the batch that is being retried.
        wait_until(lambda: logs_of(service)["queued"] >= 5)
        logs = logs_of(service)
        assert (logs["detail"], logs["dropped"]) == (reasons[failure], 0)
        assert httpx2.get(f"{service.address}/health/ready").status_code == 200
        started = time.monotonic()
        assert service.terminate() == 0, service.output
        assert time.monotonic() - started < 12, "the shutdown takes too long"


def test_a_very_long_record_is_delivered_as_valid_json(
    start_service: Start, service_database: str, cloudwatch: CloudWatch
) -> None:
    service = start_service(
        GAME_API_MONGODB_URI=service_database, **environment(cloudwatch.endpoint)
    ).wait_until_ready()
    long_path = "/" + "%E2%82%AC" * 6000
    assert httpx2.get(f"{service.address}{long_path}").status_code == 404
    assert service.terminate() == 0
    entries, _ = read(cloudwatch)
    (entry,) = [e for e in entries if e["logger"] == "game_api.access"]
    assert entry["path"].startswith("/\u20ac\u20ac")


def test_a_full_queue_drops_events_and_counts_them() -> None:
    dropped: list[int] = []
    queue = BoundedQueue(dropped.append)
    event = {"message": "x" * 10_000, "timestamp": 0}
    for _ in range(2000):
        queue.put(event)
    assert queue.bytes <= MAX_QUEUED_BYTES + 20_000
    assert queue.qsize() + sum(dropped) == 2000 and dropped
    queue.put(1)  # The control signals of watchtower are always accepted.
    while queue.qsize():
        queue.get()
    assert queue.bytes == 0
    queue.put(event)
    assert queue.qsize() == 1


def test_a_missing_region_is_an_invalid_setting(
    start_service: Start, service_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    service = start_service(
        GAME_API_MONGODB_URI=service_database, GAME_API_CLOUDWATCH_LOG_GROUP="g"
    )
    assert service.wait() == 2
    assert service.output.startswith("game-api: GAME_API_CLOUDWATCH_LOG_GROUP: You must specify")
