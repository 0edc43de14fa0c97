"""Pure ASGI middleware."""

import asyncio
import logging
import re
import time

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from game_api.errors import InternalError, ShuttingDown, problem
from game_api.ids import new_token
from game_api.logs import request_id
from game_api.metrics import Metrics

log = logging.getLogger("game_api.access")

HEADER = b"x-request-id"
VALID_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
UNMATCHED = "unmatched"
"""The route of a request for a path that does not exist."""


class RequestContext:
    """Gives each request its id, its line in the log, its place in the metrics, and, should it
    fail unexpectedly, its answer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        given = next((value for name, value in scope["headers"] if name == HEADER), b"")
        of = scope["request_id"] = given.decode() if VALID_ID.fullmatch(given) else new_token()
        token = request_id.set(of)
        status = size = 0

        async def watched_send(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (HEADER, of.encode())]
            else:
                size += len(message.get("body", b""))
            await send(message)

        failure: Exception | None = None
        try:
            try:
                await self.app(scope, receive, watched_send)
            except ClientDisconnect:
                pass  # there is nobody to answer
            except asyncio.CancelledError:  # the server gives up waiting for it
                if not status:
                    await problem(Request(scope), ShuttingDown())(scope, receive, watched_send)
            except Exception as error:
                failure = error
                if status:  # too late for another answer: cut the connection
                    raise
                await problem(Request(scope), InternalError())(scope, receive, watched_send)
        finally:
            self.record(scope, status, size, time.perf_counter() - started, failure)
            request_id.reset(token)

    def record(
        self, scope: Scope, status: int, size: int, seconds: float, failure: Exception | None
    ) -> None:
        """Log and count a request; health checks are logged at debug and not counted."""
        route = getattr(scope.get("route"), "path", UNMATCHED)
        health = route.startswith("/health")
        if not health:
            self.metrics.request(route, seconds * 1000, failed=status >= 500)
        level = logging.ERROR if failure else logging.DEBUG if health else logging.INFO
        if log.isEnabledFor(level):
            access = {
                "method": scope["method"],
                "path": scope["path"],
                "route": route,
                "status": status,
                "duration_ms": round(seconds * 1000, 3),
                "bytes": size,
            }
            if (caller := scope.get("caller")) is not None:
                access["caller"] = caller
            # Handled directly: looking for the caller's line would cost more than all the rest.
            message = f"{scope['method']} {scope['path']}"
            error = (type(failure), failure, failure.__traceback__) if failure else None
            record = log.makeRecord(log.name, level, "", 0, message, (), error)
            record.access = access
            log.handle(record)
