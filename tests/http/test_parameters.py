"""Plans: they find the same parameters as FastAPI, and leave every refusal to it."""

import asyncio
import inspect
from collections import defaultdict
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import pytest
from fastapi import APIRouter, BackgroundTasks, Body, Cookie, Depends, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import solve_dependencies
from fastapi.routing import APIRoute
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.responses import Response

from game_api.access.caller import ANYBODY
from game_api.access.creation import Creation
from game_api.access.policy import Grant
from game_api.errors import ApiError
from game_api.http import health
from game_api.http.body import ReadRequest
from game_api.http.parameters import STACKS, NotPlanned, Unresolved, plan_of
from game_api.http.preconditions import Precondition, Tags
from game_api.http.routing import ApiRoute
from game_api.players import routes as players
from game_api.sessions import routes as sessions

ROUTES = {
    route.operation_id: route
    for router in (players.router, sessions.router, sessions.players_router)
    for route in router.routes
    if isinstance(route, ApiRoute)
}
"""The routes of the API, by the id of the operation."""


def test_every_operation_of_the_api_has_a_plan() -> None:
    assert len(ROUTES) == 14
    for route in ROUTES.values():
        plan_of(route.dependant, route.body_field)
        assert inspect.signature(route.endpoint).return_annotation is Response


def test_plans_know_all_that_fastapi_knows_of_a_function() -> None:
    """`Dependant` is not public. A new version of FastAPI may add a kind of parameter to it."""
    planned = {"path_params", "query_params", "header_params", "body_params", "request_param_name"}
    planned |= {"dependencies", "name", "call"}
    refused = {"cookie_params", "websocket_param_name", "http_connection_param_name"}
    refused |= {"response_param_name", "background_tasks_param_name", "security_scopes_param_name"}
    ignored = {"own_oauth_scopes", "parent_oauth_scopes", "use_cache", "path", "scope"}
    ignored |= {"concurrency"}  # These matter for security scopes and for contexts only.
    assert {field.name for field in fields(Dependant)} == planned | refused | ignored


def test_health_is_left_to_fastapi() -> None:
    """It returns models, which a plan does not serialise."""
    for route in health.router.routes:
        assert isinstance(route, ApiRoute)
        assert inspect.signature(route.endpoint).return_annotation is not Response


ids = st.sampled_from(["ada", "a_-Z9", "", "a b", "x" * 64, "x" * 65, "é", "a/b", "\n", "1"])
numbers = st.sampled_from(["0", "1", "20", "100", "101", "-1", "1.0", "1_0", "", "x", "²", " 1"])
texts = st.sampled_from(["duel", "Duel", "", "map:harbour", "level:5", ":", "true", "1", "yes"])
queries = st.lists(
    st.tuples(
        st.sampled_from(
            ["status", "limit", "cursor", "username", "game_mode", "region", "attribute"]
            + ["min_free_slots", "host_player_id", "joinable", "other"]
        ),
        st.one_of(texts, numbers, ids, st.sampled_from(["waiting", "ended", "never"])),
    ),
    max_size=4,
)
headers = st.lists(
    st.tuples(
        st.sampled_from([b"if-match", b"if-none-match", b"x-other"]),
        st.sampled_from([b'"1"', b"*", b'W/"1"', b'"1", "2"', b"", b"1", b'"', b"\xe9", b" * "]),
    ),
    max_size=3,
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 300),
    st.just(2.0),
    st.sampled_from(["Ada", "duel", "red", "", "waiting", "private", "Friday \u202e", "a b"]),
)
names = st.sampled_from(
    ["username", "display_name", "region", "rating", "attributes", "player_id", "name", "game_mode"]
    + ["max_players", "min_players", "status", "visibility", "ready", "team", "player_ids", "x"]
    + ["host_player_id", "server", "join_in_progress"]
)
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=3),
    st.dictionaries(st.sampled_from(["map", "level", "address", "port"]), scalars, max_size=3),
)
VALID: dict[str, Any] = {
    "createPlayer": {"username": "Ada", "attributes": {"level": 5}},
    "createSession": {"name": "Friday duel", "game_mode": "duel", "max_players": 2},
    "joinSessionAsParty": {"player_ids": ["ada", "bob"]},
}
bodies = st.one_of(st.just(None), values, st.dictionaries(names, values, max_size=4))


OBJECTS: dict[type, object] = defaultdict(object)
CREATION = Creation.new()


def a_request(
    path: dict[str, str], query: list[tuple[str, str]], lines: list[tuple[bytes, bytes]], body: Any
) -> ReadRequest:
    """A request as it arrives at a plan: its body has been decoded."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "path_params": path,
        "query_string": urlencode(query).encode(),
        "headers": [*lines, (b"content-type", b"application/json")],
        "state": {"objects": OBJECTS},
        "grant": Grant(ANYBODY),
        "creation": CREATION,
    }
    request = ReadRequest(scope, b"")
    request.value = body
    return request


async def by_fastapi(route: APIRoute, request: ReadRequest) -> Any:
    """The arguments as FastAPI finds them; "refused" if a parameter is absent or invalid."""
    async with AsyncExitStack() as stack:
        request.scope.update(dict.fromkeys(STACKS, stack))
        solved = await solve_dependencies(
            request=request,
            dependant=route.dependant,
            body=request.value,
            async_exit_stack=stack,
            embed_body_fields=False,
        )
    return "refused" if solved.errors else solved.values


async def by_plan(route: APIRoute, request: ReadRequest) -> Any:
    try:
        return await plan_of(route.dependant, route.body_field).values(request)
    except Unresolved:
        return "refused"


async def outcome(found: Awaitable[Any]) -> Any:
    """What was found, in a form that can be compared, or the error that was raised."""
    try:
        arguments = await found
    except ApiError as error:
        return type(error), error.extra
    if arguments == "refused":
        return arguments
    return {name: comparable(value) for name, value in arguments.items()}


def comparable(value: Any) -> Any:
    match value:
        case Tags():
            return value.tags, value.anything
        case Precondition():
            return comparable(value.tags)
        case datetime():
            return "a time"
        case Request():
            return "the request"
    return value, type(value)


@pytest.mark.parametrize("operation", ROUTES)
@settings(max_examples=150)
@given(data=st.data())
def test_a_plan_and_fastapi_find_the_same(operation: str, data: st.DataObject) -> None:
    route = ROUTES[operation]
    path = {name: data.draw(ids, name) for name in route.param_convertors}
    query, lines = data.draw(queries, "query"), data.draw(headers, "headers")
    body = data.draw(bodies, "body")
    if isinstance(body, dict):
        body = VALID.get(operation, {}) | body

    async def compare() -> None:
        expected = await outcome(by_fastapi(route, a_request(path, query, lines, body)))
        assert await outcome(by_plan(route, a_request(path, query, lines, body))) == expected

    asyncio.run(compare())


class Model(BaseModel):
    x: int = 1


async def dependency(request: Request) -> str:
    return "x"


Used = Annotated[str, Depends(dependency)]


async def with_two_bodies(a: Annotated[int, Body()], b: Annotated[int, Body()]) -> Response:
    return Response()


async def with_a_cookie(a: Annotated[str, Cookie()] = "") -> Response:
    return Response()


async def with_a_model(a: Annotated[Model, Query()]) -> Response:
    return Response()


async def with_a_response(response: Response) -> Response:
    return Response()


async def with_tasks(tasks: BackgroundTasks) -> Response:
    return Response()


async def with_a_dependency_twice(a: Used, b: Used) -> Response:
    return Response()


def without_async() -> Response:
    return Response()


@pytest.mark.parametrize(
    "endpoint",
    [
        with_two_bodies,
        with_a_cookie,
        with_a_model,
        with_a_response,
        with_tasks,
        with_a_dependency_twice,
        without_async,
    ],
)
def test_what_a_plan_does_not_understand_is_left_to_fastapi(endpoint: Any) -> None:
    router = APIRouter()
    router.add_api_route("/", endpoint, methods=["POST"], response_model=None)
    (route,) = router.routes
    assert isinstance(route, APIRoute)
    with pytest.raises(NotPlanned):
        plan_of(route.dependant, route.body_field)
