"""What every route checks before FastAPI reads the request, and the deadline it works under."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

import pymongo
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from game_api.database import DEADLINE
from game_api.errors import (
    BodyTooLarge,
    DatabaseUnavailable,
    UnsupportedMediaType,
    ValidationFailed,
)

MAX_BODY_BYTES = 64 * 1024
GRACE = 0.5
"""Seconds past the database's deadline until a request is given up."""

JSON_MEDIA_TYPE = re.compile(r"application/(?:[^;\s]+\+)?json\s*(?:;.*)?", re.IGNORECASE)


class ApiRoute(APIRoute):
    """A route that refuses unknown query parameters, large bodies, and bodies that are not JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        parameters = self.dependant.query_params
        known = {parameter.alias for parameter in parameters}
        repeatable = {p.alias for p in parameters if p.default == []}
        # A parameter that is an object of named ones (`attr.<key>`) is declared by hand.
        patterns = [
            re.compile(pattern)
            for parameter in (self.openapi_extra or {}).get("parameters", ())
            for pattern in parameter["schema"]["patternProperties"]
        ]

        def check_query(request: Request) -> None:
            for name in request.query_params:
                if name not in known and not any(p.fullmatch(name) for p in patterns):
                    raise ValidationFailed.at(
                        "query", name, msg="Unknown query parameter", type="extra_forbidden"
                    )
                if name not in repeatable and len(request.query_params.getlist(name)) > 1:
                    raise ValidationFailed.at(
                        "query", name, msg="Given more than once", type="repeated"
                    )

        async def checked(request: Request) -> Response:
            check_query(request)
            if self.body_field is not None:
                request = await with_checked_body(request)
            try:
                # The driver's deadline comes first. The other one is for what it does not cover:
                # waiting in a session's queue behind a slow round, looking up a name.
                async with asyncio.timeout(DEADLINE + GRACE):
                    with pymongo.timeout(DEADLINE):
                        return await handler(request)
            except TimeoutError:
                raise DatabaseUnavailable() from None

        return checked


async def with_checked_body(request: Request) -> Request:
    """The request with its body read: at most 64 KiB, and JSON by its content type.

    Raises BodyTooLarge, without reading the rest, and UnsupportedMediaType.
    """
    if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
        raise BodyTooLarge()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge()
    if body and not JSON_MEDIA_TYPE.fullmatch(request.headers.get("content-type", "")):
        raise UnsupportedMediaType()

    async def replay() -> dict[str, Any]:
        return {"type": "http.request", "body": bytes(body), "more_body": False}

    return Request(request.scope, replay)
