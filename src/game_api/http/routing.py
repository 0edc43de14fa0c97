"""The route class of every endpoint, and the steps before FastAPI reads a request."""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

import pymongo
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from game_api.access.policy import OPEN, grant, permission_for
from game_api.database.client import DEADLINE, GRACE
from game_api.errors import DatabaseUnavailable
from game_api.http.access import Gate
from game_api.http.problems import (
    BodyTooLarge,
    UnsupportedMediaType,
    ValidationFailed,
)

MAX_BODY_BYTES = 64 * 1024
JSON_MEDIA_TYPE = re.compile(r"application/(?:[a-z0-9!#$&^_.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
Step = Callable[[Handler], Handler]
"""Returns a handler that does something before or around the given one."""


class ApiRoute(APIRoute):
    """A route that admits callers, checks query and body, and limits the time of a request.

    The steps are chosen once, when the app is created. A request passes them in the order of the
    list.
    """

    def get_route_handler(self) -> Handler:
        steps = [*with_access(self), with_checked_query(self)]
        if self.body_field is not None:
            steps.append(with_checked_body)
        steps.append(with_deadline)
        handler: Handler = super().get_route_handler()
        for step in reversed(steps):
            handler = step(handler)
        return handler


def with_access(route: ApiRoute) -> list[Step]:
    """Authenticate the caller, apply the rate limit, and check the permission of the role.

    There is nothing to do for an open operation. Raises NoPermission if the operation is not in
    the table of permissions; a request may raise Unauthenticated, KeysUnavailable, RateLimited or
    Forbidden.
    """
    permission = permission_for(route.operation_id)
    if permission is OPEN:
        return []

    def step(handler: Handler) -> Handler:
        async def admitted(request: Request) -> Response:
            gate: Gate = request.state.objects[Gate]
            caller = request.scope["caller"] = await gate.admit(request.scope)
            request.scope["grant"] = grant(permission, caller)
            return await handler(request)

        return admitted

    return [step]


def with_checked_query(route: ApiRoute) -> Step:
    """Refuse query parameters that the route does not declare, and repeated ones."""
    parameters = route.dependant.query_params
    known = {parameter.alias for parameter in parameters}
    repeatable = {parameter.alias for parameter in parameters if parameter.default == []}

    def check(request: Request) -> None:
        for name in request.query_params:
            if name not in known:
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
    """Read the body within its size limit, check its content type, and decode it.

    Raises UnsupportedMediaType, ValidationFailed, and BodyTooLarge without reading the rest.
    `game_api.http.protocol` limits the time and raises RequestTimeout.
    """

    async def checked(request: Request) -> Response:
        body = await read_body(request)
        if body:
            if not JSON_MEDIA_TYPE.fullmatch(request.headers.get("content-type", "")):
                raise UnsupportedMediaType()
            if request.headers.get("content-encoding", "identity").lower() != "identity":
                raise UnsupportedMediaType("The body must not be compressed.")
        return await handler(JsonRequest(request.scope, body))

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


class JsonRequest(Request):
    """A request whose body has been read. The value `null` counts as no body."""

    def __init__(self, scope: Scope, body: bytes) -> None:
        super().__init__(scope)
        self.value = decode(body) if body else None

    async def body(self) -> bytes:
        return b"" if self.value is None else b"json"  # FastAPI only checks if there is one.

    async def json(self) -> Any:
        return self.value


def decode(body: bytes) -> Any:
    """The value of a JSON document, in which no object has the same key twice.

    Raises ValidationFailed.
    """
    try:
        return json.loads(body.decode(), object_pairs_hook=unique, parse_constant=refuse_constant)
    except json.JSONDecodeError as error:
        raise ValidationFailed.at("body", error.pos, msg=error.msg, type="json_invalid") from None
    except RecursionError:
        raise ValidationFailed.at("body", msg="Nested too deeply", type="json_invalid") from None
    except UnicodeDecodeError:
        raise ValidationFailed.at("body", msg="Not UTF-8", type="json_invalid") from None
    except ValueError:  # Python limits the digits of an integer.
        raise ValidationFailed.at("body", msg="Not a JSON number", type="json_invalid") from None


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of an object. Raises ValidationFailed for a repeated name."""
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValidationFailed.at("body", name, msg="Given more than once", type="repeated")
        members[name] = value
    return members


def refuse_constant(name: str) -> None:
    """JSON has no `NaN` and no infinities, which Python's decoder accepts."""
    raise ValueError(f"{name} is not JSON")


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
