"""Delivery to CloudWatch Logs: it survives an outage, and never delays or fails a request."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import httpx2
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    NoCredentialsError,
    ParamValidationError,
)

from game_api.observability import cloudwatch as cloudwatch_module
from game_api.observability.cloudwatch import (
    MAX_QUEUED_BYTES,
    BoundedQueue,
    CloudWatchHandler,
    may_pass,
)
from game_api.observability.logs import LineFormatter
from game_api.observability.metrics import Metrics
from tests.aws import (
    GROUP,
    STREAM,
    CloudWatch,
    check_document,
    environment,
    hung,
    refusing,
    samples,
    total,
)
from tests.conftest import Lines
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


Connect = Callable[[str], CloudWatchHandler]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    """Makes a handler in this process that sends to an endpoint, and without long pauses."""
    monkeypatch.setattr(cloudwatch_module, "SEND_SECONDS", 0.05)
    monkeypatch.setattr(cloudwatch_module, "CLOSE_SECONDS", 0.05)
    handlers: list[CloudWatchHandler] = []

    def make(endpoint: str) -> CloudWatchHandler:
        for name, value in environment(endpoint).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        handlers.append(CloudWatchHandler(GROUP, STREAM, Metrics()))
        handlers[-1].setFormatter(LineFormatter(lambda text: text, "pod"))
        return handlers[-1]

    yield make
    for handler in handlers:
        handler.close()


def send(handler: CloudWatchHandler, *messages: str) -> None:
    for message in messages:
        handler.handle(logging.LogRecord("x", logging.INFO, "f", 1, message, (), None))


def delivered(cloudwatch: CloudWatch) -> list[str]:
    return [entry["message"] for entry in read(cloudwatch)[0]]


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("ValidationException", 400, "ValidationException"),
        ("InvalidParameterException", 400, "InvalidParameterException"),
        ("SerializationException", 400, "SerializationException"),
        ("RequestEntityTooLargeException", 413, "RequestEntityTooLargeException"),
        ("", 413, "413"),
    ],
)
def test_a_batch_that_is_refused_for_good_does_not_hold_up_the_next_ones(
    cloudwatch: CloudWatch,
    connect: Connect,
    log_lines: Lines,
    code: str,
    status: int,
    reason: str,
) -> None:
    with refusing(code, status, "poison", cloudwatch.endpoint) as endpoint:
        handler = connect(endpoint)
        for dropped in (1, 2):
            send(handler, "poison")
            wait_until(lambda: handler.dropped == dropped)
        assert (handler.failure, handler.queued) == (reason, 0)
        send(handler, "one", "two")
        wait_until(lambda: handler.failure is None)
        wait_until(lambda: delivered(cloudwatch) == ["one", "two"])
        assert (handler.dropped, handler.queued) == (2, 0)
    lines = [e["message"] for e in log_lines.entries if e["logger"] == cloudwatch_module.__name__]
    assert lines == [f"CloudWatch Logs refused 1 records: {reason}"]


def test_a_refusal_is_said_on_standard_output_and_in_the_health(
    start_service: Start, service_database: str, cloudwatch: CloudWatch
) -> None:
    with refusing("ValidationException", 400, "poison", cloudwatch.endpoint) as endpoint:
        service = start_service(
            GAME_API_MONGODB_URI=service_database, **environment(endpoint)
        ).wait_until_ready()
        httpx2.get(f"{service.address}/poison")
        wait_until(lambda: logs_of(service)["status"] == "degraded")
        logs = logs_of(service)
        assert logs["detail"] == "ValidationException" and logs["dropped"] >= 1
        ids = send_requests(service, 5)
        wait_until(lambda: logs_of(service)["status"] == "ok")
        assert service.terminate() == 0, service.output
    entries, _ = read(cloudwatch)
    assert [e["request_id"] for e in entries if e["logger"] == "game_api.access"] == ids
    assert "CloudWatch Logs refused" in service.output
    assert not any("CloudWatch Logs refused" in entry["message"] for entry in entries)


def client_error(code: str, status: int) -> ClientError:
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutLogEvents")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (client_error("ThrottlingException", 400), True),
        (client_error("ExpiredTokenException", 400), True),
        (client_error("InvalidSignatureException", 400), True),
        (client_error("AccessDeniedException", 400), True),
        (client_error("ServiceUnavailableException", 500), True),
        (client_error("429", 429), True),
        (client_error("403", 403), True),
        (client_error("502", 502), True),
        (ConnectTimeoutError(endpoint_url="x"), True),
        (NoCredentialsError(), True),
        (ConnectionResetError(), True),
        (client_error("ValidationException", 400), False),
        (client_error("404", 404), False),
        (ParamValidationError(report="x"), False),
        (ZeroDivisionError(), False),
    ],
)
def test_only_failures_that_may_pass_are_retried(error: Exception, expected: bool) -> None:
    assert may_pass(error) is expected


def test_an_unexpected_error_does_not_end_the_delivery(
    cloudwatch: CloudWatch, connect: Connect
) -> None:
    handler = connect(cloudwatch.endpoint)
    failures = [ZeroDivisionError()]

    def fail_once(**_: Any) -> None:
        if failures:
            raise failures.pop()

    event = "before-call.cloudwatch-logs.PutLogEvents"
    handler.cwl_client.meta.events.register(event, fail_once)
    send(handler, "one")
    wait_until(lambda: handler.dropped == 1)
    assert handler.failure == "ZeroDivisionError"
    send(handler, "two")
    wait_until(lambda: delivered(cloudwatch) == ["two"])


def test_a_stream_that_another_process_has_just_created_is_used(
    cloudwatch: CloudWatch, connect: Connect
) -> None:
    handler = connect(cloudwatch.endpoint)

    def create(**_: Any) -> None:
        cloudwatch.client.create_log_stream(logGroupName=GROUP, logStreamName=STREAM)

    event = "before-call.cloudwatch-logs.CreateLogStream"
    handler.cwl_client.meta.events.register(event, create)
    send(handler, "one")
    wait_until(lambda: delivered(cloudwatch) == ["one"])
    assert (handler.dropped, handler.failure) == (0, None)


def test_a_batch_that_is_being_delivered_counts_as_queued(connect: Connect) -> None:
    with hung() as endpoint:
        handler = connect(endpoint)
        send(handler, "one", "two", "three")
        wait_until(lambda: handler.queues[STREAM].qsize() == 0)
        assert handler.queued == 3
        handler.close()
        wait_until(lambda: handler.queued == 0)
        assert handler.dropped == 3


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
