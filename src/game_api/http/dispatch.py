"""The way of a request to its route, without the layers that FastAPI puts in between.

FastAPI matches a path against each router and route in turn, opens three stacks of context managers
and wraps each message, all of which the routes of this service do not need.
"""

import re
from collections.abc import Sequence

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from game_api.http.problems import response_to
from game_api.http.steps import Handler

PARAMETER = re.compile(r"\{(\w+)\}")


class Resource:
    """A path with parameters, and the routes of its methods."""

    def __init__(self, path: str) -> None:
        self.names = PARAMETER.findall(path)
        self.routes: dict[str, tuple[APIRoute, Handler]] = {}


class Dispatch:
    """Passes requests to the routes of the routers; the app serves all others.

    The app also answers a request for a method that the resource does not have.
    """

    def __init__(self, app: ASGIApp, routers: Sequence[APIRouter]) -> None:
        self._app = app
        resources: dict[str, Resource] = {}
        for router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute):
                    resource = resources.setdefault(route.path, Resource(route.path))
                    for method in route.methods or ():
                        resource.routes[method] = route, route.get_route_handler()
        # An empty group ends each path, so that the last group of a match tells which path it is.
        paths = [PARAMETER.sub("([^/]+)", path) + "()" for path in resources]
        self._paths = re.compile("|".join(paths))
        self._resources: dict[int, Resource] = {}
        group = 0
        for resource in resources.values():
            group += len(resource.names) + 1
            self._resources[group] = resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._handler(scope) if scope["type"] == "http" else None
        if handler is None:
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await handler(request)
        except Exception as error:
            response = await response_to(request, error)
        await response(scope, receive, send)

    def _handler(self, scope: Scope) -> Handler | None:
        """The handler of the route that serves this request, which is entered into the scope."""
        found = self._paths.fullmatch(scope["path"], len(scope["root_path"]))
        if found is None or found.lastindex is None:
            return None
        resource = self._resources[found.lastindex]
        route, handler = resource.routes.get(scope["method"], (None, None))
        if route is not None:
            values = found.groups()[found.lastindex - 1 - len(resource.names) :]
            scope["route"] = route
            scope["path_params"] = dict(zip(resource.names, values))
        return handler
