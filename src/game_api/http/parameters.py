"""The parameters of an endpoint, by a plan that is made once, when the route is declared.

FastAPI examines what an endpoint declares anew for each request, which costs more than anything
else between the server and the database. A plan resolves the same declarations with the validators
that FastAPI has made. It serves valid requests only: FastAPI resolves whatever a plan can't, from
the beginning, so that every refusal is made there.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, cast

from fastapi.dependencies.models import Dependant
from fastapi.params import Header, Path, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from game_api.http.body import ReadRequest
from game_api.http.steps import Handler

Source = Callable[[Request], Any]
"""Finds a parameter in a request. Raises Unresolved."""

STACKS = ("fastapi_middleware_astack", "fastapi_inner_astack", "fastapi_function_astack")
"""Where FastAPI puts the context managers of a request; the service has none that outlive it."""


class Unresolved(Exception):
    """A parameter is absent or invalid."""


class NotPlanned(Exception):
    """An endpoint declares something that a plan has no support for."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the parameters of one function are found: those of an endpoint, or of a dependency."""

    call: Callable[..., Awaitable[Any]]
    sources: tuple[tuple[str, Source], ...]
    dependencies: tuple[tuple[str | None, "Plan"], ...]

    async def run(self, request: Request) -> Any:
        """Call the function. Raises Unresolved, or what a dependency or the function raises."""
        return await self.call(**await self.values(request))

    async def values(self, request: Request) -> dict[str, Any]:
        """The arguments of the function. Raises Unresolved, or what a dependency raises."""
        values: dict[str, Any] = {}
        # FastAPI resolves dependencies first, so that the first error is the same.
        for name, dependency in self.dependencies:
            value = await dependency.run(request)
            if name is not None:
                values[name] = value
        for name, source in self.sources:
            values[name] = source(request)
        return values


def planned(route: APIRoute, handler: Handler) -> Handler:
    """A handler that runs the endpoint by a plan if it has one; `handler` is FastAPI's own.

    Only an endpoint that returns responses has a plan, because a plan serialises nothing.
    """
    fallback = with_stacks(handler)
    try:
        plan = plan_of(route.dependant, route.body_field)
    except NotPlanned:
        return fallback
    if inspect.signature(route.endpoint).return_annotation is not Response:
        return fallback

    async def handle(request: Request) -> Response:
        try:
            values = await plan.values(request)
        except Unresolved:
            return await fallback(request)
        return cast(Response, await plan.call(**values))

    return handle


def with_stacks(handler: Handler) -> Handler:
    """FastAPI's handler, which expects stacks of context managers in the scope."""

    async def handle(request: Request) -> Response:
        async with AsyncExitStack() as stack:
            request.scope.update(dict.fromkeys(STACKS, stack))
            return await handler(request)

    return handle


def plan_of(dependant: Dependant, body: object) -> Plan:
    """The plan of a function with these declarations. Raises NotPlanned.

    `body` is the only parameter that may be the body of the request.
    """
    calls = [each.call for each in family(dependant)]
    if len(set(calls)) < len(calls):  # FastAPI would call it once, and reuse the result.
        raise NotPlanned("a dependency is used twice")
    if not inspect.iscoroutinefunction(dependant.call):
        raise NotPlanned("a function is not asynchronous")
    unknown = (
        dependant.cookie_params
        or dependant.websocket_param_name
        or dependant.http_connection_param_name
        or dependant.response_param_name
        or dependant.background_tasks_param_name
        or dependant.security_scopes_param_name
    )
    if unknown:
        raise NotPlanned("a parameter is of another kind")
    fields = [*dependant.path_params, *dependant.query_params, *dependant.header_params]
    sources = [(field.name, parameter(field)) for field in fields]
    for field in dependant.body_params:
        if field is not body:
            raise NotPlanned("the body has several parameters")
        sources.append((field.name, body_parameter(field)))
    if dependant.request_param_name is not None:
        sources.append((dependant.request_param_name, lambda request: request))
    dependencies = [(each.name, plan_of(each, None)) for each in dependant.dependencies]
    return Plan(dependant.call, tuple(sources), tuple(dependencies))


def family(dependant: Dependant) -> Iterator[Dependant]:
    """The declarations of a function, and of everything that it depends on."""
    yield dependant
    for dependency in dependant.dependencies:
        yield from family(dependency)


def parameter(field: Any) -> Source:
    """The source of a parameter in the path, the query or the headers. Raises NotPlanned."""
    info, alias = field.field_info, field.alias
    kind = info.annotation
    if info.validation_alias not in (None, alias) or info.validate_default:
        raise NotPlanned("a parameter has another alias, or its default is validated")
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        raise NotPlanned("a model stands for several parameters")
    match info:
        case Path():
            return lambda request: valid(field, request.path_params.get(alias))
        case Query() if getattr(kind, "__origin__", None) is list:
            return lambda request: valid(field, request.query_params.getlist(alias) or None)
        case Query():
            return lambda request: valid(field, request.query_params.get(alias))
        case Header() if getattr(kind, "__origin__", None) is not list:
            return lambda request: valid(field, request.headers.get(alias))
    raise NotPlanned("a parameter is of another kind")


def body_parameter(field: Any) -> Source:
    """The source of the body, which has been decoded."""

    def body(request: Request) -> Any:
        assert isinstance(request, ReadRequest)
        return valid(field, request.value)

    return body


def valid(field: Any, value: Any) -> Any:
    """The value as FastAPI passes it to the function, or the default. Raises Unresolved."""
    if value is None:
        if field.field_info.is_required():
            raise Unresolved()
        return field.get_default()
    checked, errors = field.validate(value)
    if errors:
        raise Unresolved()
    return checked
