"""The inventory of the API: what is served is documented, needs a token, and has limits."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

from game_api.access.policy import OPEN, permission_for
from game_api.app import create_app
from game_api.runtime import Runtime
from game_api.settings import Settings
from tests.access.minting import SECRET
from tests.apps import running
from tests.http.checks import assert_problem

Schema = dict[str, Any]

UNDOCUMENTED = {("/", "GET"), ("/docs", "GET"), ("/docs/assets", "*"), ("/openapi.json", "GET")}
"""What is served apart from the API: its documentation."""

LIMITS = {
    "string": {"maxLength"},
    "array": {"maxItems"},
    "integer": {"minimum", "maximum"},
}
"""The keywords that limit a value, by its type. A number that is no integer has a fixed size."""
UNBOUNDED = re.compile(r"[*+](?![^[]*\])|,\}")
"""What makes a pattern match texts of any length."""


@pytest.fixture
def app() -> FastAPI:
    settings = {"auth": "jwt", "jwt_secret": SECRET, "rate_limit": "off"}
    return create_app(Runtime(Settings.model_validate(settings)), "mongodb://127.0.0.1:1/")


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """The path and the method of everything that the app serves."""
    for route in iter_route_contexts(app.routes):
        if isinstance(route.original_route, Mount):
            yield route.original_route.path, "*"
        else:
            assert route.path and route.methods, route
            yield from ((route.path, method) for method in sorted(route.methods - {"HEAD"}))


def operations(app: FastAPI) -> list[tuple[str, str, Schema]]:
    """The method, path and description of each documented operation."""
    paths = app.openapi()["paths"]
    return [(m.upper(), p, o) for p, item in paths.items() for m, o in item.items()]


def test_every_route_is_documented(app: FastAPI) -> None:
    documented = {(path, method) for method, path, _ in operations(app)}
    assert set(routes(app)) == documented | UNDOCUMENTED
    assert len(list(routes(app))) == len(documented | UNDOCUMENTED)


async def test_every_operation_needs_a_token_unless_it_is_open(app: FastAPI) -> None:
    """Without a token, a request is refused before anything else of it is looked at."""
    nonsense: dict[str, Any] = {"content": b"{", "params": {"nonsense": "1"}}
    async with running(app) as started:
        for method, path, operation in operations(app):
            is_open = permission_for(operation["operationId"]) is OPEN
            assert (operation.get("security") == []) == is_open
            assert is_open == path.startswith("/health")
            response = await started.client.request(method, path, **nonsense)
            if is_open:
                assert_problem(response, 422, "validation_error")
            else:
                assert_problem(response, 401, "unauthenticated")
                assert response.headers["www-authenticate"] == "Bearer"


def parts(schema: Schema, document: Schema) -> Iterator[Schema]:
    """The schema and all schemas within it, without references."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield schema
    inner = [*schema.get("anyOf", ()), *schema.get("properties", {}).values()]
    inner += [schema[name] for name in ("items", "additionalProperties") if schema.get(name)]
    for part in inner:
        yield from parts(part, document)


def is_limited(schema: Schema) -> bool:
    """Whether the schema itself says how large its value may be."""
    kind = schema.get("type", "")
    if kind == "string" and (schema.get("enum") or "const" in schema):
        return True
    if kind == "string" and "pattern" in schema and not UNBOUNDED.search(schema["pattern"]):
        return True
    if kind == "object":
        return schema.get("additionalProperties") is False or "maxProperties" in schema
    return LIMITS.get(kind, set()) <= schema.keys()


def test_everything_in_a_body_has_a_limit(app: FastAPI) -> None:
    document = app.openapi()
    for method, path, operation in operations(app):
        for body in operation.get("requestBody", {}).get("content", {}).values():
            for part in parts(body["schema"], document):
                assert is_limited(part), f"{method} {path}: {part}"


@pytest.mark.parametrize(
    ("schema", "limited"),
    [
        ({"type": "string"}, False),
        ({"type": "string", "maxLength": 5}, True),
        ({"type": "string", "pattern": "^[a-z+*]{1,5}$"}, True),
        ({"type": "string", "pattern": "^[a-z]+$"}, False),
        ({"type": "string", "pattern": "^[a-z]{1,}$"}, False),
        ({"type": "array", "items": {}}, False),
        ({"type": "integer", "minimum": 0}, False),
        ({"type": "object"}, False),
    ],
)
def test_a_missing_limit_is_detected(schema: Schema, limited: bool) -> None:
    assert is_limited(schema) is limited
