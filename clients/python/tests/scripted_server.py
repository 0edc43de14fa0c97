"""An HTTP server that gives scripted responses, for what a healthy service does not do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A response; `body` is sent as JSON unless it is text."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


DROP = Answer(0)
"""Closes the connection without a response."""

HANG = Answer(-1)
"""Never responds."""


def problem(status: int, code: str, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    """A problem document, as the service sends them."""
    body = {"type": "about:blank", "title": "A title", "status": status, "code": code, **more}
    media_type = {"Content-Type": "application/problem+json"}
    return Answer(status, {"detail": "A sentence.", **body}, {**media_type, **(headers or {})})


class ScriptedServer:
    """Gives the `answers` in order; the last one again and again.

    An answer may be a function, which gets the request.
    """

    def __init__(self) -> None:
        self.answers: list[Answer | Callable[[Received], Answer]] = [Answer(200, {})]
        self.received: list[Received] = []
        self.closing = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self) -> ScriptedServer:
        threading.Thread(target=self.http.serve_forever, args=(0.02,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()

    def answer(self, request: Received) -> Answer:
        self.received.append(request)
        answer = self.answers[min(len(self.received), len(self.answers)) - 1]
        return answer(request) if callable(answer) else answer


def handler_of(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = server.answer(Received(self.command, self.path, dict(self.headers), body))
            if answer is HANG:
                server.closing.wait()
            if answer in (DROP, HANG):
                self.close_connection = True
                return
            text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            content = b"" if answer.status in (204, 304) else text.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_DELETE = do_GET = do_PATCH = do_POST = do_PUT = respond

        def log_message(self, *_: object) -> None:
            pass

    return Handler
