"""The route class of every endpoint, and the steps before FastAPI reads a request."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pymongo
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from game_api.database.client import DEADLINE, GRACE
from game_api.errors import DatabaseUnavailable
from game_api.http.problems import (
    BodyTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
    ValidationFailed,
)

MAX_BODY_BYTES = 64 * 1024
BODY_SECONDS = 20.0
"""How long a client may take to send the body."""
JSON_MEDIA_TYPE = re.compile(r"application/(?:[^;\s]+\+)?json\s*(?:;.*)?", re.IGNORECASE)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Step = Callable[[Handler], Handler]
"""Returns a handler that does something before or around the given one."""


class ApiRoute(APIRoute):
    """A route that checks query and body, and limits the time of a request.

    The steps are chosen once, when the app is created. A request passes them in the order of the
    list.
    """

    def get_route_handler(self) -> Handler:
        steps = [with_checked_query(self)]
        if self.body_field is not None:
            steps.append(with_checked_body)
        steps.append(with_deadline)
        handler: Handler = super().get_route_handler()
        for step in reversed(steps):
            handler = step(handler)
        return handler


def with_checked_query(route: ApiRoute) -> Step:
    """Refuse query parameters that the route does not declare, and repeated ones."""
    parameters = route.dependant.query_params
    known = {parameter.alias for parameter in parameters}
    repeatable = {parameter.alias for parameter in parameters if parameter.default == []}
    # Parameters that share a prefix (`attr.<key>`) are declared by a pattern in `openapi_extra`.
    patterns = [
        re.compile(pattern)
        for parameter in (route.openapi_extra or {}).get("parameters", ())
        for pattern in parameter["schema"]["patternProperties"]
    ]

    def check(request: Request) -> None:
        for name in request.query_params:
            if name not in known and not any(p.fullmatch(name) for p in patterns):
                raise ValidationFailed.at(
                    "query", name, msg="Unknown query parameter", type="extra_forbidden"
                )
            if name not in repeatable and len(request.query_params.getlist(name)) > 1:
                raise ValidationFailed.at(
                    "query", name, msg="Given more than once", type="repeated"
                )

    def step(handler: Handler) -> Handler:
        async def checked(request: Request) -> Response:
            check(request)
            return await handler(request)

        return checked

    return step


def with_checked_body(handler: Handler) -> Handler:
    """Read the body within its time and size limits, and check its content type.

    Raises RequestTimeout, UnsupportedMediaType, and BodyTooLarge without reading the rest.
    """

    async def checked(request: Request) -> Response:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await read_body(request)
        except TimeoutError:
            raise RequestTimeout() from None
        if body and not JSON_MEDIA_TYPE.fullmatch(request.headers.get("content-type", "")):
            raise UnsupportedMediaType()
        return await handler(Request(request.scope, replay(body)))

    return checked


async def read_body(request: Request) -> bytes:
    """The body of the request. Raises BodyTooLarge."""
    if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
        raise BodyTooLarge()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge()
    return bytes(body)


def replay(body: bytes) -> Callable[[], Awaitable[dict[str, Any]]]:
    """An ASGI `receive` that returns a body which was already read."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def with_deadline(handler: Handler) -> Handler:
    """Limit the time that the request may spend on the database. Raises DatabaseUnavailable."""

    async def limited(request: Request) -> Response:
        try:
            # The driver's own deadline comes first. The outer one covers what the driver's does
            # not, such as a slow DNS lookup.
            async with asyncio.timeout(DEADLINE + GRACE):
                with pymongo.timeout(DEADLINE):
                    return await handler(request)
        except TimeoutError:
            raise DatabaseUnavailable() from None

    return limited
