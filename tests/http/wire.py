"""Speaks HTTP as bytes on a socket, to send what no HTTP client would send."""

import http.client
import json
import socket
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from tests.waiting import WAIT_SECONDS

SEGMENT_PAUSE = 0.03
"""Seconds between two segments, so that the service receives them separately."""


@dataclass(frozen=True)
class Answer:
    """A response as it was on the wire."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def assert_refusal(self, status: int, code: str) -> None:
        """Assert that this is a problem document with this status and code."""
        assert self.status == status, self
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["connection"] == "close"
        problem = self.json
        assert (problem["status"], problem["code"]) == (status, code)
        assert problem["type"] == "about:blank" and problem["title"] and problem["detail"]
        assert problem["request_id"] == self.headers["x-request-id"]


class Listening(Protocol):
    """A server that a client can connect to."""

    @property
    def host_and_port(self) -> tuple[str, int]: ...


class Wire:
    """A connection to the service."""

    def __init__(self, service: Listening) -> None:
        self.socket = socket.create_connection(service.host_and_port, WAIT_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> "Wire":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.file.close()
        self.socket.close()

    def send(self, *segments: bytes, pause: float = SEGMENT_PAUSE) -> None:
        for number, segment in enumerate(segments):
            if number:
                time.sleep(pause)
            self.socket.sendall(segment)

    def answer(self, to_head: bool = False) -> Answer:
        """Read one response. Raises AssertionError if the connection is closed instead."""
        status_line = self.file.readline().decode()
        assert status_line, "the connection is closed"
        status = int(status_line.split()[1])
        headers = http.client.parse_headers(self.file)
        bodiless = to_head or status < 200 or status in (204, 304)
        body = b"" if bodiless else self.file.read(int(headers["content-length"]))
        return Answer(status, headers, body)

    def assert_closed(self) -> None:
        """Assert that the service closes the connection, without any other byte or a reset."""
        assert self.file.read() == b""

    def exchange(self, *segments: bytes) -> Answer:
        self.send(*segments)
        return self.answer()


def request(method: str, path: str, *headers: str, body: bytes | None = None) -> bytes:
    """A request with Host and, if it has a body, the headers of a JSON body."""
    lines = [f"{method} {path} HTTP/1.1", "Host: game-api", *headers]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def chunked(head: str, body: bytes, size: int = 7) -> bytes:
    """A request whose body is sent in chunks of this size."""
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    parts = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b"")]
    return head.encode() + b"".join(parts)
