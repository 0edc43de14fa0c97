"""A reverse proxy that answers as a later version of the service might.

It adds members to every JSON object, and gives some refusals a code and a status that the OpenAPI
document does not declare.
"""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NEW_REFUSALS = {
    "session_full": (409, "session_crowded"),
    "player_not_found": (429, "slow_down"),
    "in_session": (418, "teapot"),
}
"""The new status and code of each refusal that is rewritten, by its present code."""

NEW_MEMBERS = {"new_text": "new", "new_flag": True, "new_object": {"list": [1, None]}}
MAPS = ("attributes",)
"""Members whose keys are the client's own."""

END_TO_END = ("content-type", "etag", "location", "retry-after", "x-request-id", "allow")


def grown(value: Any) -> Any:
    """The JSON value with more members in each object."""
    if isinstance(value, list):
        return [grown(item) for item in value]
    if isinstance(value, dict):
        members = {k: v if k in MAPS else grown(v) for k, v in value.items()}
        return members | NEW_MEMBERS
    return value


def later_version(status: int, body: bytes) -> tuple[int, bytes]:
    """The response of the later version, given the present status and JSON body."""
    document = json.loads(body)
    if status >= 400:
        code = document["code"]
        status, document["code"] = NEW_REFUSALS.get(code, (status, code))
        document["status"] = status
    return status, json.dumps(grown(document)).encode()


class Handler(BaseHTTPRequestHandler):
    """Forwards each request to the service at `upstream`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    upstream: str

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        names = ("authorization", "content-type", "idempotency-key", "if-match", "if-none-match")
        headers = {name: self.headers[name] for name in names if name in self.headers}
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        connection.request(self.command, self.path, body or None, headers)
        response = connection.getresponse()
        status, content = response.status, response.read()
        connection.close()
        if content and "json" in response.headers.get("Content-Type", ""):
            status, content = later_version(status, content)
        self.send_response(status)
        for name in END_TO_END:
            if name in response.headers:
                self.send_header(name, response.headers[name])
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    def log_message(self, format: str, *arguments: object) -> None:
        """Requests are not logged."""


@contextmanager
def later_service(address: str) -> Iterator[str]:
    """The URL of the proxy, which runs until the context ends."""
    handler = type("Forward", (Handler,), {"upstream": address.removeprefix("http://")})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
