"""The middleware of the app. It is pure ASGI, which costs a fraction of BaseHTTPMiddleware."""

import asyncio
import logging
import re
import time

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from game_api.access.caller import SYSTEM
from game_api.http.problems import InternalError, ShuttingDown, problem
from game_api.ids import new_token
from game_api.observability.logs import current_request_id
from game_api.observability.metrics import Metrics

log = logging.getLogger("game_api.access")

Headers = list[tuple[bytes, bytes]]

HEADER = b"x-request-id"
VALID_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
POLICY = b"content-security-policy"
SECURITY_HEADERS = [
    # A private cache may keep a response, but has to ask again, so that tokens are checked again.
    (b"cache-control", b"private, no-cache"),
    (b"referrer-policy", b"no-referrer"),
    (b"strict-transport-security", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
]
"""Headers of every response, which protect those who open one in a browser."""
NOTHING_ALLOWED = (POLICY, b"default-src 'none'; frame-ancestors 'none'")
"""The policy of responses without one of their own."""

UNMATCHED = "unmatched"
"""The route of a request whose path does not exist."""


class RequestContext:
    """Gives each request an id, logs and counts it, and answers it when it fails unexpectedly.

    HEAD is served as GET; the body is left out here.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        given = next((value for name, value in scope["headers"] if name == HEADER), b"")
        request_id = given.decode() if VALID_ID.fullmatch(given) else new_token()
        scope["request_id"] = request_id
        token = current_request_id.set(request_id)
        status = size = 0
        method = scope["method"]
        if head := method == "HEAD":  # The server still has to know, so its scope is not changed.
            scope = {**scope, "method": "GET"}

        async def watched_send(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = common_headers(scope, message["headers"], request_id)
            elif head:
                message["body"] = b""
            else:
                size += len(message.get("body", b""))
            await send(message)

        failure: Exception | None = None
        try:
            try:
                await self.app(scope, receive, watched_send)
            except ClientDisconnect:
                pass  # Nobody is left to receive a response.
            except asyncio.CancelledError:  # The shutdown timeout of the server has passed.
                if not status:
                    await problem(Request(scope), ShuttingDown())(scope, receive, watched_send)
            except Exception as error:
                failure = error
                if status:  # The response has begun: only closing the connection is left.
                    raise
                await problem(Request(scope), InternalError())(scope, receive, watched_send)
        finally:
            self.record(method, scope, status, size, time.perf_counter() - started, failure)
            current_request_id.reset(token)

    def record(
        self,
        method: str,
        scope: Scope,
        status: int,
        size: int,
        seconds: float,
        failure: Exception | None,
    ) -> None:
        """Log and count a request. Health checks are logged at debug level and not counted."""
        route = getattr(scope.get("route"), "path", UNMATCHED)
        health = route.startswith("/health")
        if not health:
            self.metrics.request(route, seconds * 1000, status)
        level = logging.ERROR if failure else logging.DEBUG if health else logging.INFO
        if log.isEnabledFor(level):
            access = {
                "method": method,
                "path": scope["path"],
                "route": route,
                "status": status,
                "duration_ms": round(seconds * 1000, 3),
                "bytes": size,
            }
            caller = scope.get("caller", SYSTEM)
            if caller.subject is not None:
                access["caller"], access["role"] = caller.subject, caller.role
            # The record is made by hand: `log.info` would look up the source line of its caller,
            # which costs more than everything else here.
            message = f"{method} {scope['path']}"
            error = (type(failure), failure, failure.__traceback__) if failure else None
            record = log.makeRecord(log.name, level, "", 0, message, (), error)
            record.access = access
            log.handle(record)


def common_headers(scope: Scope, headers: Headers, request_id: str) -> Headers:
    """The headers of a response, with those that every response has."""
    complete = [*headers, *SECURITY_HEADERS, (HEADER, request_id.encode())]
    if not any(name == POLICY for name, _ in headers):
        complete.append(NOTHING_ALLOWED)
    if limits := scope.get("limit_headers"):
        complete += limits
    return complete
