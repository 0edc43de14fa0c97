"""Delivery to CloudWatch Logs: all of it when it can be, and never at the cost of a request."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from game_api.cloudwatch import MAX_QUEUED_BYTES, BoundedQueue
from tests.aws import CloudWatch, check_document, environment, hung, refusing, samples, total
from tests.service import Service

Start = Callable[..., Service]


@pytest.fixture
def cloudwatch() -> Iterator[CloudWatch]:
    server = CloudWatch()
    server.start()
    yield server
    server.stop()


def ask(service: Service, count: int) -> list[str]:
    """So many requests; their ids."""
    with httpx2.Client(base_url=service.address) as client:
        return [client.get("/api/v1/players/x").headers["x-request-id"] for _ in range(count)]


def read(cloudwatch: CloudWatch) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Log entries and metric documents, as they are in the stream."""
    events = [json.loads(message) for message in cloudwatch.messages()]
    documents = [event for event in events if "_aws" in event]
    for document in documents:
        check_document(document)
    return [event for event in events if "_aws" not in event], documents


def logs_of(service: Service) -> dict[str, Any]:
    components: dict[str, Any] = httpx2.get(f"{service.address}/health/detailed").json()
    logs: dict[str, Any] = components["components"]["logs"]
    return logs


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_records_and_metrics_arrive_byte_for_byte(
    start_service: Start, service_database: str, cloudwatch: CloudWatch
) -> None:
    service = start_service(
        GAME_API_MONGODB_URI=service_database, **environment(cloudwatch.endpoint)
    ).wait_until_ready()
    ids = ask(service, 250)
    assert service.terminate() == 0, service.output
    entries, documents = read(cloudwatch)
    assert [e["request_id"] for e in entries if e["logger"] == "game_api.access"] == ids
    delivered = [m for m in cloudwatch.messages() if '"_aws"' not in m]
    written = [line.rstrip("\n") for line in service.lines]
    assert delivered == written, "what is delivered is what is written to standard output"
    assert total(documents, "RequestCount") == 250
    assert samples(documents, "APILatency") == samples(documents, "ErrorRate") == 250


def test_five_seconds_without_cloudwatch_lose_nothing(
    start_service: Start, service_database: str, cloudwatch: CloudWatch
) -> None:
    cloudwatch.stop()
    service = start_service(
        GAME_API_MONGODB_URI=service_database, **environment(cloudwatch.endpoint)
    ).wait_until_ready()
    ids = ask(service, 60)
    wait_for(lambda: logs_of(service)["status"] == "degraded")
    assert logs_of(service)["detail"] == "EndpointConnectionError"
    detailed = httpx2.get(f"{service.address}/health/detailed")
    assert (detailed.status_code, detailed.json()["status"]) == (200, "degraded")
    time.sleep(5)
    ids += ask(service, 40)
    cloudwatch.start()
    wait_for(lambda: logs_of(service)["status"] == "ok")
    assert logs_of(service)["dropped"] == 0
    ids += ask(service, 20)
    assert service.terminate() == 0, service.output
    entries, documents = read(cloudwatch)
    assert [e["request_id"] for e in entries if e["logger"] == "game_api.access"] == ids
    assert total(documents, "RequestCount") == samples(documents, "APILatency") == len(ids) == 120


@pytest.mark.parametrize("trouble", ["hung", "throttling", "refusing", "gone"])
def test_trouble_at_cloudwatch_is_no_trouble_for_requests(
    start_service: Start, service_database: str, trouble: str
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
    with endpoints[trouble] as endpoint:
        service = start_service(
            GAME_API_MONGODB_URI=service_database, **environment(endpoint)
        ).wait_until_ready()
        with httpx2.Client(base_url=service.address, timeout=5) as client:
            for _ in range(200):
                assert client.get("/api/v1/players/x").status_code == 404
        wait_for(lambda: logs_of(service)["status"] == "degraded")
        logs = logs_of(service)
        assert logs["detail"] == reasons[trouble]
        assert logs["queued"] >= 0 and logs["dropped"] == 0
        assert httpx2.get(f"{service.address}/health/ready").status_code == 200
        started = time.monotonic()
        assert service.terminate() == 0, service.output
        assert time.monotonic() - started < 12, "the end is bounded"


def test_a_record_that_is_too_long_arrives_as_valid_json(
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


def test_a_full_queue_drops_and_counts() -> None:
    dropped: list[int] = []
    queue = BoundedQueue(dropped.append)
    event = {"message": "x" * 10_000, "timestamp": 0}
    for _ in range(2000):
        queue.put(event)
    assert queue.bytes <= MAX_QUEUED_BYTES + 20_000
    assert queue.qsize() + sum(dropped) == 2000 and dropped
    queue.put(1)  # watchtower's own signals always get through
    while queue.qsize():
        queue.get()
    assert queue.bytes == 0
    queue.put(event)
    assert queue.qsize() == 1


def test_without_a_region_it_is_a_settings_mistake(
    start_service: Start, service_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    service = start_service(
        GAME_API_MONGODB_URI=service_database, GAME_API_CLOUDWATCH_LOG_GROUP="g"
    )
    assert service.wait() == 2
    assert service.output.startswith("game-api: GAME_API_CLOUDWATCH_LOG_GROUP: You must specify")
