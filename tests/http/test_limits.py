"""The size of a head, and the time that a request may take to arrive."""

import re
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from game_api.http import protocol
from tests.conftest import Lines
from tests.http.conftest import LocalServer
from tests.http.wire import Wire, request
from tests.service import Service
from tests.waiting import WAIT_SECONDS, wait_until

Serve = Callable[..., LocalServer]
HEALTH = request("GET", "/health")
POST = "POST /api/v1/players HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CHUNKED = f"{POST}Transfer-Encoding: chunked\r\n\r\n"
KIB = 1024


def head_of(size: int, one_header: bool) -> bytes:
    """A request whose target and header fields have this size in all."""
    start = b"GET /health HTTP/1.1\r\nHost: a\r\n"
    rest = size - len("/health") - len("Host: a\r\n")
    if one_header:
        return start + b"X: %s\r\n\r\n" % (b"x" * (rest - len("X: \r\n")))
    line = b"X: %s\r\n" % (b"x" * 19)
    return start + line * (rest // 24) + b"X:%s\r\n\r\n" % (b"x" * (rest % 24))


@pytest.mark.parametrize("one_header", [True, False])
@pytest.mark.parametrize("offer", [b"", b"Upgrade: h2c\r\nConnection: upgrade\r\n"])
def test_a_head_of_almost_64_kib_is_read(service: Service, one_header: bool, offer: bytes) -> None:
    head = head_of(64 * KIB - 200, one_header).replace(b"Host: a\r\n", b"Host: a\r\n" + offer)
    with Wire(service) as wire:
        for segments in ([head], [head[:7000], head[7000:30_000], head[30_000:]]):
            assert wire.exchange(*segments).status == 200


@pytest.mark.parametrize("size", [64 * KIB + 200, 300 * KIB])
@pytest.mark.parametrize("one_header", [True, False])
def test_a_larger_head_is_431(service: Service, one_header: bool, size: int) -> None:
    head = head_of(size, one_header)
    for segments in ([head], [head[:7000], head[7000:30_000], head[30_000:]]):
        with Wire(service) as wire:
            wire.send(HEALTH, *segments)
            assert wire.answer().status == 200
            wire.answer().assert_refusal(431, "request_head_too_large")
            wire.assert_closed()


def test_a_long_target_is_431(service: Service) -> None:
    with Wire(service) as wire:
        wire.send(b"GET /%s HTTP/1.1\r\n" % (b"x" * 200 * KIB))
        wire.answer().assert_refusal(431, "request_head_too_large")
        wire.assert_closed()


@pytest.mark.parametrize(
    "start", [f"{CHUNKED}0\r\nX: ", f"{CHUNKED}2;extension="], ids=["trailer", "chunk extension"]
)
def test_a_trailer_or_a_chunk_extension_has_the_same_limit(service: Service, start: str) -> None:
    with Wire(service) as wire:
        wire.send(start.encode(), b"x" * 400 * KIB)
        wire.answer().assert_refusal(431, "request_head_too_large")
        wire.assert_closed()


def resident_kib(service: Service) -> int:
    """The resident memory of the service."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def test_the_memory_for_an_endless_head_is_limited(service: Service) -> None:
    before = resident_kib(service)
    with Wire(service) as wire:
        wire.send(b"GET /health HTTP/1.1\r\nX: ")
        with suppress(OSError):  # The service closes the connection after a while.
            for _ in range(100):
                wire.send(b"x" * 1024 * KIB)
        assert resident_kib(service) - before < 20 * KIB


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request has only half a second to arrive."""
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 0.5)


UNFINISHED = {
    "one byte": b"G",
    "half a head": b"GET /health HTTP/1.1\r\nX-Request-ID: late-1\r\nHost: a\r\n",
    "half a head with an offer": b"GET /health HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n",
    "no body": f"{POST}Content-Length: 20\r\n\r\n".encode(),
    "half a body": f'{POST}Content-Length: 999\r\n\r\n{{"username"'.encode(),
    "half a chunk": f"{CHUNKED}5\r\n{{".encode(),
    "no last chunk": f"{CHUNKED}2\r\n{{}}\r\n".encode(),
}


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("before", [b"", HEALTH], ids=["first", "second"])
@pytest.mark.parametrize("case", UNFINISHED)
def test_a_request_that_is_not_complete_in_time_is_408(
    serve: Serve, log_lines: Lines, case: str, before: bytes
) -> None:
    with Wire(serve()) as wire:
        wire.send(before + UNFINISHED[case])
        if before:
            assert wire.answer().status == 200
        answer = wire.answer()
        answer.assert_refusal(408, "request_timeout")
        wire.assert_closed()
    (line,) = [entry for entry in log_lines.access() if entry["status"] == 408]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["request_id"] == "late-1") == (case == "half a head")
    assert line["route"] == ("/api/v1/players" if "POST" in line["method"] else "unmatched")


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("case", ["one byte", "half a body", "no last chunk"])
def test_a_trickle_does_not_extend_the_time(serve: Serve, case: str) -> None:
    """The client sends a byte again and again, until the service responds."""
    more = {
        "one byte": [b"E", b"T", b" ", b"/", *[b"x"] * 300],
        "half a body": [b" "] * 300,
        "no last chunk": [b"1\r\n \r\n"] * 300,
    }[case]
    with Wire(serve()) as wire:
        wire.send(UNFINISHED[case])
        wire.socket.settimeout(0.1)
        for part in more:
            try:
                if wire.socket.recv(1, socket.MSG_PEEK):
                    break  # The response has arrived.
            except TimeoutError:
                wire.send(part)
        else:
            pytest.fail("there was no response during the trickle")
        wire.socket.settimeout(WAIT_SECONDS)
        wire.answer().assert_refusal(408, "request_timeout")
        wire.assert_closed()


@pytest.mark.usefixtures("short")
def test_a_body_that_nobody_reads_does_not_keep_the_connection(serve: Serve) -> None:
    with Wire(serve()) as wire:
        answer = wire.exchange(b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nx")
        assert answer.status == 200
        wire.assert_closed()


@pytest.mark.usefixtures("short")
def test_empty_lines_do_not_keep_a_connection(serve: Serve) -> None:
    with Wire(serve()) as wire:
        wire.send(b"\r\n\r\n")
        wire.assert_closed()


def test_a_connection_without_a_request_is_closed_after_the_keep_alive_time(serve: Serve) -> None:
    server = serve(keep_alive=1)
    with Wire(server) as silent, Wire(server) as idle:
        assert idle.exchange(HEALTH).status == 200
        silent.assert_closed()
        idle.assert_closed()


def test_a_timer_ends_with_its_connection(serve: Serve) -> None:
    server = serve()
    with Wire(server) as wire:
        wire.send(UNFINISHED["half a head"])
        wait_until(lambda: any(connection.timer for connection in server.connections()))
        timer = server.connections()[0].timer
    wait_until(lambda: not server.connections())
    assert timer and timer.cancelled()


def test_the_time_of_a_request_is_20_seconds(service: Service) -> None:
    started = time.monotonic()
    with Wire(service) as head, Wire(service) as body:
        head.send(UNFINISHED["half a head"])
        body.send(UNFINISHED["half a body"])
        for wire in (head, body):
            wire.answer().assert_refusal(408, "request_timeout")
            wire.assert_closed()
    # A timer counts whole milliseconds, so it may end less than one of them early.
    assert time.monotonic() - started > 19.999
    pattern = r'"status":408,"duration_ms":(19999|2\d{4})'
    service.wait_until(lambda: bool(re.search(pattern, service.output)))


def test_a_body_that_ends_after_its_response_leaves_an_idle_connection(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection has the keep-alive time, and the next request has the time of a request."""
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 1.0)
    server = serve(keep_alive=75)
    with Wire(server) as wire:
        wire.send(b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
        assert wire.answer().status == 404
        wire.send(b"body")
        time.sleep(1.5)  # Longer than a request may take.
        assert wire.exchange(HEALTH[:10], HEALTH[10:]).status == 200
        (connection,) = server.connections()
        assert connection.timer is None and connection.timeout_keep_alive_task is not None
