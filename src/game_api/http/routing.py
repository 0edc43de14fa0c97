"""The route class of every endpoint, and the steps before FastAPI reads a request."""

import asyncio

import pymongo
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from game_api.access.policy import OPEN, permission_for
from game_api.database.client import DEADLINE, GRACE
from game_api.errors import DatabaseUnavailable
from game_api.http.access import with_permission
from game_api.http.body import with_decoded_body, with_read_body
from game_api.http.idempotency import with_idempotency
from game_api.http.parameters import planned
from game_api.http.problems import ValidationFailed
from game_api.http.steps import Handler, Step


class ApiRoute(APIRoute):
    """A route that admits callers, checks query and body, and limits the time of a request.

    The steps are chosen once, when the app is created. A request passes them in the order of the
    list.
    """

    def get_route_handler(self) -> Handler:
        permission = permission_for(self.operation_id)
        steps: list[Step] = []
        if permission is not OPEN:
            steps.append(with_permission(permission))
        steps.append(with_checked_query(self))
        keyed = "POST" in (self.methods or ())
        if keyed or self.body_field is not None:
            steps.append(with_read_body)
        steps.append(with_deadline)
        if keyed:
            steps.append(with_idempotency)
        if self.body_field is not None:
            steps.append(with_decoded_body)
        handler = planned(self, super().get_route_handler())
        for step in reversed(steps):
            handler = step(handler)
        return handler


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
            if request.scope["query_string"]:
                check(request)
            return await handler(request)

        return checked

    return step


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
