"""The receiver of Argo CD's notifications."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from tests.e2e.network import HOST
from tests.e2e.paths import LOGS

PORT = 8092
URL = f"http://{HOST}:{PORT}/"


class Message(NamedTuple):
    """A notification, and when it was received, by time.monotonic()."""

    text: str
    received: float


Messages = list[Message]
"""All notifications, oldest first."""


@contextmanager
def running_webhook() -> Iterator[Messages]:
    """Receive what is posted to URL."""
    messages: Messages = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            messages.append(Message(body["text"], time.monotonic()))
            with (LOGS / "notifications.log").open("a") as log:
                print(body["text"], file=log)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer((HOST, PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield messages
    finally:
        server.shutdown()
        server.server_close()
