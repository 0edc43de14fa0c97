"""Simulated AWS for tests: moto servers, and endpoints that hang or return errors as AWS does."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3

GROUP, STREAM = "game-session-logs", "api-logs"


def environment(endpoint: str) -> dict[str, str]:
    """The environment variables that make the service send its logs to an endpoint."""
    return {
        "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "GAME_API_CLOUDWATCH_LOG_GROUP": GROUP,
        "GAME_API_CLOUDWATCH_LOG_STREAM": STREAM,
    }


class Moto:
    """A moto server. A restart keeps its port, but loses its data."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def client_of(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="eu-central-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        command = shutil.which("moto_server") or str(Path(sys.executable).with_name("moto_server"))
        self.process = subprocess.Popen(
            [command, "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "MOTO_CALL_RESET_API": "false"},
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None
                time.sleep(0.1)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class CloudWatch(Moto):
    """CloudWatch Logs with the log group that Terraform creates."""

    @property
    def client(self) -> Any:
        return self.client_of("logs")

    def start(self) -> None:
        super().start()
        self.client.create_log_group(logGroupName=GROUP)

    def messages(self) -> list[str]:
        """Return all messages of the log stream, in order."""
        with contextlib.suppress(self.client.exceptions.ResourceNotFoundException):
            found: list[str] = []
            token: dict[str, str] = {}
            while True:
                page = self.client.get_log_events(
                    logGroupName=GROUP, logStreamName=STREAM, startFromHead=True, **token
                )
                found += [event["message"] for event in page["events"]]
                if token.get("nextToken") == page["nextForwardToken"]:
                    return found
                token = {"nextToken": page["nextForwardToken"]}
        return []


class SecretsManager(Moto):
    """Secrets Manager, and the environment variables that make the service use it."""

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def create(self, value: str) -> str:
        """Create a secret and return its ARN."""
        client = self.client_of("secretsmanager")
        arn = client.create_secret(Name=f"rds!cluster-{uuid4()}", SecretString=value)["ARN"]
        return str(arn)

    def put(self, arn: str, value: str) -> None:
        self.client_of("secretsmanager").put_secret_value(SecretId=arn, SecretString=value)


@contextlib.contextmanager
def hung() -> Iterator[str]:
    """Yield the URL of an endpoint that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextlib.contextmanager
def refusing(code: str, status: int, text: str = "", endpoint: str = "") -> Iterator[str]:
    """Yield the URL of an endpoint that refuses every request that contains a text, as AWS does.

    It passes other requests on to `endpoint`. An empty `code` stands for a proxy that answers with
    a page instead.
    """

    class Refusal(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if text in body.decode():
                page = json.dumps({"__type": code, "message": "no"}) if code else "<html></html>"
                self.respond(status, page.encode())
                return
            request = urllib.request.Request(endpoint, body, dict(self.headers))
            try:
                with urllib.request.urlopen(request) as response:
                    self.respond(response.status, response.read())
            except urllib.error.HTTPError as error:
                self.respond(error.code, error.read())

        def respond(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def check_document(document: dict[str, Any]) -> None:
    """Assert that a document conforms to the Embedded Metric Format."""
    metadata = document["_aws"]
    assert isinstance(metadata["Timestamp"], int) and metadata["Timestamp"] > 1_600_000_000_000
    assert metadata["CloudWatchMetrics"]
    for directive in metadata["CloudWatchMetrics"]:
        assert directive["Namespace"] == "GameSession"
        assert all(len(dimensions) <= 30 for dimensions in directive["Dimensions"])
        for dimensions in directive["Dimensions"]:
            assert all(isinstance(document[name], str) and document[name] for name in dimensions)
        assert 0 < len(directive["Metrics"]) <= 100
        for metric in directive["Metrics"]:
            assert metric["Unit"] in ("Milliseconds", "Count", "Percent")
            value = document[metric["Name"]]
            values = value if isinstance(value, list) else [value]
            assert 0 < len(values) <= 100
            assert all(type(v) in (int, float) and v == v and abs(v) < 2**360 for v in values)


def total(documents: list[dict[str, Any]], name: str, **dimensions: str) -> float:
    """Return the sum of a metric in all documents, as CloudWatch's Sum statistic does."""
    return sum(
        sum(value) if isinstance(value := document[name], list) else value
        for document in documents
        if name in document and dimensions.items() <= document.items()
    )


def samples(documents: list[dict[str, Any]], name: str) -> int:
    """Return the number of values of a metric, as CloudWatch's SampleCount statistic does."""
    return sum(
        len(value) if isinstance(value := document[name], list) else 1
        for document in documents
        if name in document
    )
