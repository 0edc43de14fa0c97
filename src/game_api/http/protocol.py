"""HTTP/1.1 on a connection: uvicorn's protocol on httptools, made strict and bounded.

uvicorn reads requests and writes responses. This module adds what it lacks:

- an offer to upgrade the protocol is ignored, as RFC 9110 asks of a server that does not take it;
- the head of a request has a maximum size, and a request has to be complete in time;
- requests that are not valid HTTP get a problem document with a request id, and a log line;
- a connection is closed so that its last response reaches the client.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast
from urllib.parse import unquote

import httptools
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from game_api.errors import ApiError
from game_api.http.middleware import RequestContext
from game_api.http.problems import (
    BadRequest,
    RequestHeadTooLarge,
    RequestTimeout,
    ShuttingDown,
    problem,
)
from game_api.runtime import Runtime

MAX_HEAD_BYTES = 64 * 1024
REQUEST_SECONDS = 20.0
"""How long a request may take from its first byte to its last."""
DRAIN_SECONDS = 0.5
"""How long a client may still use a connection after the shutdown has begun."""
LINGER_SECONDS = 2.0
"""How long the client's data is discarded after the last response on a connection."""

HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(:\d*)?", re.ASCII)
ENCODED_SLASH = re.compile("%2f", re.IGNORECASE)


class Stage(Enum):
    """Which part of a request is expected next."""

    IDLE = "nothing of a request has arrived"
    HEAD = "the head is incomplete"
    BODY = "the body is incomplete"


@dataclass(frozen=True)
class Output:
    """What a response needs of the transport."""

    write: Callable[[bytes], None]
    is_closing: Callable[[], bool]
    close: Callable[[], None]


class Cycle(RequestResponseCycle):
    """A request and its response."""

    failure: ApiError | None = None
    """Why the rest of the body can't be read."""

    def fail(self, error: ApiError) -> None:
        """Let the app fail with this error when it reads the body, and then close the connection.

        An app that does not read the body responds as usual.
        """
        self.failure = error
        self.keep_alive = False
        self.message_event.set()

    async def receive(self) -> ASGIReceiveEvent:
        """The next part of the body. Raises ApiError if it can't be read."""
        message = await super().receive()
        if self.failure is not None:
            raise self.failure
        return message


class Http11Protocol(HttpToolsProtocol):
    """One connection of a client."""

    cycle: Cycle | None  # type: ignore[assignment]  # The newest request; it may be queued.
    output: Output
    stage = Stage.IDLE
    head_bytes = 0
    """The size of the complete header fields of the current request, and of its target."""
    unparsed_bytes = 0
    """The size of the segments in which no request began and nothing of a body arrived."""
    timer: asyncio.TimerHandle | None = None
    """Runs while the server waits for the rest of a request, or for the end of a connection."""
    discarding = False
    """Whether the connection ends after the requests received so far; new data is not parsed."""
    closing = False
    """Whether the last response has been written."""
    draining = False
    """Whether the server shuts down."""
    half_closed = False
    """Whether the client has sent everything that it wants to send."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # A response closes the connection through its output.
        self.output = Output(transport.write, transport.is_closing, self.linger)
        self.keep_alive()

    def connection_lost(self, exc: Exception | None) -> None:
        self.set_timer(None)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.discarding:
            return
        self._unset_keepalive_if_required()
        self.unparsed_bytes += len(data)
        try:
            self.parse(data)
            if self.unparsed_bytes > MAX_HEAD_BYTES and self.stage is not Stage.IDLE:
                raise RequestHeadTooLarge()  # Or the trailer, which has header fields, too.
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, ApiError):
                raise
            self.refuse(error.__context__)
        except httptools.HttpParserError:
            self.refuse(BadRequest())
        except ApiError as error:
            self.refuse(error)
        else:
            # An ordinary request arrives in one segment and needs no timer.
            waits = self.stage is not Stage.IDLE or not self.is_responding()
            if waits and self.timer is None and self.timeout_keep_alive_task is None:
                self.set_timer(REQUEST_SECONDS, self.expire)

    def parse(self, data: bytes | memoryview) -> None:
        """Feed the parser. Raises HttpParserError."""
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                end_of_head = offer.args[0]
            # The parser takes the rest of the connection for another protocol. This is outside of
            # the handler, so that the context of a new error is its own cause.
            data = memoryview(data)[end_of_head:]
            self.parse_head_without_offer()

    def parse_head_without_offer(self) -> None:
        """Begin the request again in a new parser, as if it had not offered another protocol."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        lines += [b"%s: %s" % field for field in self.headers if field[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self.stage is Stage.IDLE:  # Otherwise, the head is parsed again without its offer.
            self._unset_keepalive_if_required()
            self.set_timer(None)
        self.stage = Stage.HEAD
        self.head_bytes = self.unparsed_bytes = 0

    def on_url(self, url: bytes) -> None:
        self.url += url
        self.head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.stage is Stage.HEAD:  # Fields of a trailer must not be merged into the head.
            self.head_bytes += len(name) + len(value) + 4
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self.head_bytes > MAX_HEAD_BYTES:
            raise RequestHeadTooLarge()
        method = self.parser.get_method()
        if self.parser.should_upgrade():
            if method == b"CONNECT":
                raise BadRequest("CONNECT is not supported, because this server is not a proxy.")
            return
        self.scope["method"] = method.decode("ascii")
        self.read_target()
        version = self.parser.get_http_version()
        self.check_fields(version)
        self.scope["http_version"] = version
        self.stage = Stage.BODY
        app = self.observed(server_options) if self.url == b"*" else self.app
        keep_alive = version == "1.1" and self.parser.should_keep_alive() and not self.draining
        # A client that expects 100 may leave the body out when it gets another response first.
        self.respond(app, keep_alive and not self.expect_100_continue)

    def read_target(self) -> None:
        """Set path and query of the scope. Raises BadRequest."""
        if self.url == b"*" and self.scope["method"] != "OPTIONS":
            raise BadRequest("Only OPTIONS may have the target *.")
        try:
            url = httptools.parse_url(self.url)
        except httptools.HttpParserInvalidURLError:
            raise BadRequest("The target of the request is not a valid URL.") from None
        raw_path = url.path or b"/"  # The target may be a URL that consists of a host only.
        path = raw_path.decode("ascii")
        if "%" in path:
            # An encoded slash belongs to a path segment and does not separate segments.
            path = unquote(ENCODED_SLASH.sub("%252F", path))
        self.scope["path"] = self.root_path + path
        self.scope["raw_path"] = self.root_path.encode("ascii") + raw_path
        self.scope["query_string"] = url.query or b""

    def check_fields(self, version: str) -> None:
        """Check what RFC 9112 demands and the parser does not check. Raises BadRequest."""
        if version not in ("1.0", "1.1"):
            raise BadRequest(f"HTTP/{version} is not supported.")
        hosts = []
        for name, value in self.headers:
            if name == b"host":
                hosts.append(value)
            elif name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            elif name == b"transfer-encoding" and (version == "1.0" or value.lower() != b"chunked"):
                raise BadRequest("The only supported transfer coding is chunked, in HTTP/1.1.")
        if len(hosts) > 1 or (not hosts and version == "1.1"):
            raise BadRequest("The request needs exactly one Host header.")
        if hosts and not HOST.fullmatch(hosts[0]):
            raise BadRequest("The Host header is not a valid host.")

    def on_body(self, body: bytes) -> None:
        self.unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.stage is Stage.BODY:  # Otherwise, the head is parsed again without its offer.
            self.stage = Stage.IDLE
            self.set_timer(None)
            if not self.is_responding():  # The response did not wait for the end of the body.
                self.keep_alive()
            super().on_message_complete()

    # Responses

    def is_responding(self) -> bool:
        """Whether a request has not been answered completely."""
        return self.cycle is not None and not self.cycle.response_complete

    def respond(self, app: ASGIApp, keep_alive: bool) -> None:
        """Let an app respond to the current request, after the requests before it."""
        waits = self.is_responding()
        self.cycle = Cycle(
            scope=self.scope,
            transport=cast(asyncio.Transport, self.output),
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        if waits:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, cast(Any, app)))
        else:
            self._start_asgi_task(self.cycle, cast(Any, app))

    def refuse(self, error: ApiError) -> None:
        """Respond to an unreadable or incomplete request with an error. Close the connection."""
        self.set_timer(None)
        self.discarding = True
        if self.stage is Stage.BODY:
            assert self.cycle is not None
            if self.cycle.response_complete:
                self.linger()
            else:
                self.cycle.fail(error)
            return
        method, path = ("-", "-")
        if self.url:  # The parser knows the method, too.
            method = self.parser.get_method().decode("ascii")
            path = self.url.partition(b"?")[0].decode("ascii")
        unknown = {"method": method, "path": path, "query_string": b""}
        self.scope = cast(Any, {**unknown, **self.scope})
        self.respond(self.observed(error_response(error)), keep_alive=False)

    def observed(self, app: ASGIApp) -> ASGIApp:
        """A response of this module, with a request id, and logged and counted as any other."""
        return RequestContext(app, self.app_state["objects"][Runtime].metrics)

    def on_response_complete(self) -> None:
        if not self.closing:
            super().on_response_complete()

    # The end of a connection

    def keep_alive(self) -> None:
        """Let the connection be idle for the keep-alive time, and then close it."""
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def set_timer(self, seconds: float | None, callback: Callable[[], None] = lambda: None) -> None:
        """Call back after so many seconds, instead of what the timer was set to before."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = None if seconds is None else self.loop.call_later(seconds, callback)

    def expire(self) -> None:
        """End a connection whose client has sent no complete request in time."""
        if self.stage is Stage.IDLE:
            self.transport.close()
        else:
            self.refuse(ShuttingDown() if self.draining else RequestTimeout())

    def shutdown(self) -> None:
        """Answer the requests that are complete, or almost complete. Then close the connection."""
        self.draining = True
        if self.discarding:
            return
        if self.cycle is not None:
            self.cycle.keep_alive = False
        if self.stage is not Stage.IDLE or not self.is_responding():
            self._unset_keepalive_if_required()
            self.set_timer(DRAIN_SECONDS, self.expire)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection open if the client waits for a response. Otherwise, close it."""
        self.half_closed = True
        if (
            self.cycle is None
            or self.cycle.response_complete
            or (self.stage is Stage.BODY and not self.discarding)
        ):
            return False
        self.cycle.keep_alive = False
        return True

    def linger(self) -> None:
        """Send what is written, then discard what the client sends until it closes as well.

        If the server closed the connection while data arrives, the operating system would reset it,
        and the client might lose the response.
        """
        self.discarding = self.closing = True
        if self.half_closed or self.transport.is_closing():
            self.transport.close()
            return
        self.flow.resume_reading()
        self.transport.write_eof()
        self.set_timer(LINGER_SECONDS, self.transport.close)


def error_response(error: ApiError) -> ASGIApp:
    """An app whose only response is this error."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await problem(Request(scope), error)(scope, receive, send)

    return app


async def server_options(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond to `OPTIONS *`, which is about the server and not about a resource."""
    await Response(status_code=204)(scope, receive, send)
