"""Log lines: each request has one, they are JSON, and they contain no secrets."""

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from game_api import __version__
from game_api.access.caller import Caller
from game_api.http.middleware import RequestContext
from game_api.observability.logs import (
    CONTROLS,
    ConsoleFormatter,
    LineFormatter,
    Logs,
    current_request_id,
)
from game_api.observability.metrics import Metrics
from game_api.observability.redaction import SECRETS, Redactor
from game_api.settings import Settings
from tests.conftest import Lines
from tests.service import Service, free_port
from tests.waiting import wait_until

Api = httpx2.AsyncClient
Start = Callable[..., Service]
# checkov:skip=CKV_SECRET_9:made up
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"


async def test_a_request_is_logged_as_one_line_with_all_fields(api: Api, log_lines: Lines) -> None:
    response = await api.post(
        "/api/v1/players",
        json={"username": "ada", "player_id": "ada"},
        headers={"X-Request-ID": "mine-1"},
    )
    (entry,) = log_lines.access()
    assert datetime.fromisoformat(entry.pop("timestamp")).tzinfo
    assert 0 < entry.pop("duration_ms") < 60_000
    assert entry == {
        "level": "info",
        "logger": "game_api.access",
        "message": "POST /api/v1/players",
        "request_id": "mine-1",
        "method": "POST",
        "path": "/api/v1/players",
        "route": "/api/v1/players",
        "status": 201,
        "bytes": len(response.content),
        "pod": "pod-1",
        "version": __version__,
    }


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/api/v1/players/ada", "/api/v1/players/{player_id}", 404),
        (
            "PUT",
            "/api/v1/sessions/a/players/b",
            "/api/v1/sessions/{session_id}/players/{player_id}",
            404,
        ),
        ("GET", "/api/v1/players?limit=x", "/api/v1/players", 422),
        ("PATCH", "/api/v1/players/ada", "/api/v1/players/{player_id}", 405),
        ("GET", "/nope", "unmatched", 404),
    ],
)
async def test_the_route_is_logged_as_its_template(
    api: Api, log_lines: Lines, method: str, path: str, route: str, status: int
) -> None:
    await api.request(method, path)
    (entry,) = log_lines.access()
    assert (entry["route"], entry["status"]) == (route, status)


async def test_health_checks_are_logged_at_debug(api: Api, log_lines: Lines) -> None:
    for path in ("/health", "/health/ready", "/health/detailed"):
        await api.get(path)
    assert [entry["level"] for entry in log_lines.access()] == ["debug"] * 3


async def test_a_record_carries_the_id_of_the_current_request(log_lines: Lines) -> None:
    token = current_request_id.set("abc")
    logging.getLogger("some.library").warning("something %s", "odd")
    current_request_id.reset(token)
    logging.getLogger("some.library").warning("later")
    first, second = log_lines.entries
    assert (first["request_id"], first["message"]) == ("abc", "something odd")
    assert "request_id" not in second


@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        "AKIAIOSFODNN7EXAMPLE",  # checkov:skip=CKV_SECRET_2:from the AWS documentation
        "mongodb://game:hunter2@db:27017/?tls=true",  # checkov:skip=CKV_SECRET_4:made up
        "mongodb+srv://game:hunter2@db/",
        "password=hunter2",
        "'password': 'hunter2'",
        '{"token": "hunter2"}',
        "Authorization: Bearer hunter2",
        "api_key=hunter2",
        "secret: hunter2",
        "the very password",
        "swordfish!",
    ],
)
async def test_no_line_contains_a_secret(
    secret: str, log_lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret is in the logged fields, in a message and in a traceback."""
    # checkov:skip=CKV_SECRET_4:made up
    monkeypatch.setenv("GAME_API_MONGODB_URI", "mongodb://u:swordfish%21@h/")
    monkeypatch.setenv("GAME_API_DOCUMENTDB_USERNAME", "u")
    monkeypatch.setenv("GAME_API_DOCUMENTDB_PASSWORD", "the very password")
    log_lines.setFormatter(LineFormatter(Redactor(Settings()), "pod-1"))

    async def failing_app(scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = type("Route", (), {"path": "/x/{id}"})()
        scope["caller"] = Caller(secret, frozenset())
        raise RuntimeError(f"failed with {secret}")

    transport = httpx2.ASGITransport(RequestContext(failing_app, Metrics()))
    async with Api(transport=transport, base_url="http://game-api") as api:
        await api.get(f"/{secret}", headers={"X-Request-ID": JWT if secret == JWT else "x"})
    logging.getLogger("x").warning("the secret is %s", secret)
    text = "\n".join(log_lines.lines)
    for part in (
        "hunter2",
        JWT,
        JWT.split(".")[1],
        "AKIAIOSFODNN7EXAMPLE",
        "the very password",
        "swordfish",
    ):
        assert part not in text, text
    assert text.count("***") >= 5


@given(st.text(), st.text())
def test_any_text_is_one_line_of_json(message: str, path: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "%s", (message,), None)
    record.access = {"path": path, "status": 200, "duration_ms": 1.0}
    line = LineFormatter(Redactor(Settings()), "pod").format(record)
    assert "\n" not in line and json.loads(line)["level"] == "info"
    line.encode()


def test_a_very_long_record_stays_one_line_of_valid_json() -> None:
    try:
        raise ValueError("\x00" * 3_000_000)
    except ValueError:
        error = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "\u20ac" * 3_000_000, (), error)
    line = LineFormatter(Redactor(Settings()), "pod").format(record)
    assert len(line.encode()) < 1024 * 1024 - 26
    assert " ... " in json.loads(line)["exception"]


def test_the_console_format_is_readable() -> None:
    formatter = ConsoleFormatter(Redactor(Settings()), "pod", color=False)
    record = logging.LogRecord("game_api.access", logging.INFO, "f", 1, "GET /x", (), None)
    record.access = {"status": 404, "duration_ms": 1.26}
    record.request_id = "abc"
    assert formatter.format(record)[13:] == "INFO    GET /x 404 1.3 ms  abc"
    colored = ConsoleFormatter(Redactor(Settings()), "pod", color=True).format(record)
    assert "\x1b[33m404\x1b[0m" in colored


@pytest.mark.parametrize("control", [chr(code) for code in CONTROLS] + ["\n00:00:00.000 ERROR x"])
def test_no_text_can_forge_a_line_or_control_the_terminal(control: str) -> None:
    text = f"a{control}b"
    try:
        raise ValueError(text)
    except ValueError:
        error = sys.exc_info()
    formatter = ConsoleFormatter(Redactor(Settings()), "pod", color=False)
    plain = logging.LogRecord(text, logging.ERROR, "f", 1, text, (), error)
    request = logging.LogRecord("game_api.access", logging.INFO, "f", 1, f"GET /{text}", (), None)
    request.access = {"status": 404, "duration_ms": 1.0}
    request.request_id = text
    for record in (plain, request):
        first, *others = formatter.format(record).split("\n")
        assert all(line.startswith("    ") for line in others)
        assert set(map(ord, first + "".join(others))).isdisjoint(CONTROLS)
        assert len(others) >= 3 if record.exc_info else not others


def test_a_path_can_not_forge_a_line(start_service: Start, service_database: str) -> None:
    service = start_service(
        GAME_API_MONGODB_URI=service_database, GAME_API_LOG_FORMAT="console"
    ).wait_until_ready()
    httpx2.get(f"{service.address}/a%0a00:00:00.000%20ERROR%20forged%1b[2J%E2%80%AE")
    assert service.terminate() == 0
    assert "GET /a\\n00:00:00.000 ERROR forged\\x1b[2J\\u202e 404 " in service.output
    assert not any("forged" in line[:30] for line in service.lines)


WRONG_CALLS = """
import logging, sys
from game_api.observability.logs import configure, current_request_id
from game_api.observability.metrics import Metrics
from game_api.settings import Settings

class Odd:
    def __str__(self):
        raise ZeroDivisionError("hunter2")
    __repr__ = __str__

logs = configure(Settings(pod_name="\\udcff"), Metrics())
sys.stderr.close()
current_request_id.set("abc")
log = logging.getLogger("library")
log.warning("%s of %s", 1)
log.warning(Odd())
log.warning("%s", Odd())
log.warning("odd", extra={"access": {"route": Odd()}})
log.warning("\\udcff is fine")
logs.close()
assert logs.queue.dropped == 4, logs.queue.dropped
"""


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_record_that_can_not_be_formatted_raises_nothing_and_is_reported(format: str) -> None:
    """Standard error is closed, so that nothing can be written there either."""
    result = subprocess.run(
        [sys.executable, "-c", WRONG_CALLS],
        env=os.environ | {"GAME_API_LOG_FORMAT": format},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    reports = [line for line in lines if "a log record made at <string>:" in line]
    assert len(reports) == 4 and len(lines) == 5
    assert "TypeError" in reports[0] and "ZeroDivisionError" in reports[1] + reports[2]
    assert "udcff is fine" in result.stdout and "hunter2" not in result.stdout
    if format == "json":
        entries = [json.loads(line) for line in lines]
        assert {(e["logger"], e["request_id"]) for e in entries} == {("library", "abc")}


def test_every_line_is_json_unless_standard_output_is_a_terminal(
    start_service: Start, service_database: str
) -> None:
    service = start_service(
        GAME_API_MONGODB_URI=service_database,
        GAME_API_POD_NAME="game-api-7",
        PYTHONWARNINGS="default",
    ).wait_until_ready()
    httpx2.get(f"{service.address}/api/v1/players/x", headers={"X-Request-ID": "abc"})
    with socket.create_connection(service.host_and_port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-Request-ID: def\r\nHost: a b\r\n\r\n")
        connection.recv(1000)
    assert service.terminate() == 0
    entries = [json.loads(line) for line in service.lines]
    assert {entry["pod"] for entry in entries} == {"game-api-7"}
    assert {"uvicorn.error", "game_api", "game_api.access"} <= {e["logger"] for e in entries}
    assert [e["request_id"] for e in entries if e["logger"] == "game_api.access"] == ["abc", "def"]


def test_the_log_level_is_configurable(start_service: Start, service_database: str) -> None:
    service = start_service(GAME_API_MONGODB_URI=service_database, GAME_API_LOG_LEVEL="debug")
    httpx2.get(f"{service.wait_until_ready().address}/health")
    assert service.terminate() == 0
    assert '"path":"/health"' in service.output
    invalid = start_service(GAME_API_LOG_LEVEL="loud")
    assert invalid.wait() == 2 and "GAME_API_LOG_LEVEL" in invalid.output


def responds(client: httpx2.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx2.ConnectError:
        return False


def test_a_stalled_reader_of_standard_output_does_not_block_the_service(
    service_database: str,
) -> None:
    """Standard output is a pipe that nobody reads. It is full after a few hundred lines."""
    port = free_port()
    settings = {"GAME_API_PORT": str(port), "GAME_API_MONGODB_URI": service_database}
    process = subprocess.Popen(
        [sys.executable, "-m", "game_api"], env=os.environ | settings, stdout=subprocess.PIPE
    )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=5) as client:
            wait_until(lambda: responds(client))
            for _ in range(1000):
                assert client.get("/api/v1/players/x").status_code == 404
        process.terminate()
        assert process.wait(20) == 0, "a stalled reader must not block the shutdown either"
    finally:
        process.kill()
        process.communicate()


def test_a_secret_that_is_added_later_is_redacted_from_then_on() -> None:
    redact = Redactor(Settings())
    logs = Logs(redactor=redact)
    assert redact("it is xyzzy-plugh") == "it is xyzzy-plugh"
    logs.redact("xyzzy-plugh")
    assert redact("it is xyzzy-plugh") == "it is ***"


PIECES = [
    *("password", "token", "api-key", "=", ": ", " ", "\n", "'", '"', "abc", "/players/", "0123"),
    *("Bearer ", "BEARER\t", "x://u:p@h", "eyJ", "EYJ", "akiaABCDEFGHIJKL", "ASIA0123456789ABCD"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
def test_whatever_the_expression_finds_is_redacted(text: str) -> None:
    """The hints, without which a text is not searched, hide nothing from the expression."""
    assert ("***" in Redactor(Settings())(text)) == bool(SECRETS.search(text))
