"""Conventions of all endpoints: problem documents, request ids, methods, bodies, media types."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI

from game_api.app import create_app
from game_api.http import routing
from game_api.http.middleware import RequestContext
from game_api.http.problems import HANDLERS
from game_api.http.routing import ApiRoute
from game_api.observability.metrics import Metrics
from game_api.runtime import Runtime
from tests.apps import running
from tests.conftest import Lines
from tests.http.checks import assert_problem

Api = httpx2.AsyncClient
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "path", ["/nope", "/api/v1", "/api/v1/players/", "/api/v1/players/a/b", "/docs/assets/no"]
)
async def test_an_unknown_path_is_404(api: Api, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        if (method, path) != ("GET", "/docs/assets/no") and path.startswith("/docs"):
            continue
        assert_problem(await api.request(method, path), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/health", "GET, HEAD"),
        ("/health/ready", "GET, HEAD"),
        ("/api/v1/players", "GET, HEAD, POST"),
        ("/api/v1/players/a", "GET, HEAD, PUT, DELETE"),
        ("/api/v1/players/a/session", "GET, HEAD"),
        ("/api/v1/sessions", "GET, HEAD, POST"),
        ("/api/v1/sessions/a", "GET, HEAD, PUT"),
        ("/api/v1/sessions/a/players", "POST"),
        ("/api/v1/sessions/a/players/b", "PUT, PATCH, DELETE"),
    ],
)
async def test_an_unsupported_method_is_405_and_lists_the_allowed_ones(
    api: Api, path: str, allowed: str
) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        if method not in allowed.split(", "):
            response = await api.request(method, path)
            assert_problem(response, 405, "method_not_allowed")
            assert response.headers["allow"] == allowed


async def test_a_static_file_of_the_docs_lists_its_allowed_methods(api: Api) -> None:
    response = await api.post("/docs/assets/swagger-ui.css")
    assert_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("request_id", ["a", "A-b_c.9", "x" * 128])
async def test_a_valid_request_id_is_echoed(api: Api, request_id: str) -> None:
    response = await api.get("/health", headers={"X-Request-ID": request_id})
    assert response.headers["x-request-id"] == request_id


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 129, "a\tb", "a,b", "\u00e4", "a/b"])
async def test_any_other_request_id_is_replaced(api: Api, request_id: str) -> None:
    response = await api.get("/health", headers={b"X-Request-ID": request_id.encode()})
    assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])


BODIES = [
    ("POST", "/api/v1/players"),
    ("PUT", "/api/v1/players/a"),
    ("POST", "/api/v1/sessions"),
    ("PUT", "/api/v1/sessions/a"),
    ("POST", "/api/v1/sessions/a/players"),
    ("PUT", "/api/v1/sessions/a/players/b"),
    ("PATCH", "/api/v1/sessions/a/players/b"),
]


OPTIONAL_BODY = ("PUT", "/api/v1/sessions/a/players/b")


@pytest.mark.parametrize(("method", "path"), BODIES)
async def test_a_body_that_is_not_json_is_422(api: Api, method: str, path: str) -> None:
    bodies = [
        b"{",
        b"nope",
        b"\xff\xfe",
        b'{"username": "abc"',
        b"[" * 60_000,
        b"1" * 5000,
        b'{"a":1}x',
        b"\x00",
        b"null",
        b'"\xed\xa0\x80"',
        b'{"username": "abc", "username": "abd"}',
        b'{"attributes": {"a": 1, "a": 1}}',
        b'{"rating": NaN}',
        b'{"rating": -Infinity}',
    ]
    if (method, path) == OPTIONAL_BODY:
        bodies.remove(b"null")
    for body in bodies:
        response = await api.request(method, path, content=body, headers=JSON)
        problem = assert_problem(response, 422, "validation_error")
        assert problem["errors"]


@pytest.mark.parametrize(("method", "path"), BODIES)
async def test_a_body_of_another_media_type_is_415(api: Api, method: str, path: str) -> None:
    types = ["text/plain", "application/x-www-form-urlencoded", "application/xml", "json", ""]
    for media_type in types:
        headers = {"Content-Type": media_type}
        response = await api.request(method, path, content=b"{}", headers=headers)
        assert_problem(response, 415, "unsupported_media_type")
    response = await api.request(method, path, content=b"{}")
    assert_problem(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(("method", "path"), BODIES)
async def test_a_compressed_body_is_415(api: Api, method: str, path: str) -> None:
    headers = {**JSON, "Content-Encoding": "gzip"}
    response = await api.request(method, path, content=gzip.compress(b"{}"), headers=headers)
    problem = assert_problem(response, 415, "unsupported_media_type")
    assert "compressed" in problem["detail"]
    plain = {**JSON, "Content-Encoding": "identity"}
    assert (await api.request(method, path, content=b"{}", headers=plain)).status_code != 415


async def test_a_repeated_key_is_named(api: Api) -> None:
    body = b'{"username": "ada", "attributes": {"map": 1, "map": 2}}'
    problem = (await api.post("/api/v1/players", content=body, headers=JSON)).json()
    assert problem["errors"] == [
        {"loc": ["body", "map"], "msg": "Given more than once", "type": "repeated"}
    ]


async def test_a_422_is_short_whatever_the_body(api: Api) -> None:
    many = {f"unknown{n}": n for n in range(3000)}
    problem = (await api.post("/api/v1/players", json=many)).json()
    assert len(problem["errors"]) == 50
    assert problem["more_errors"] == len(many) + 1 - 50  # The username is missing as well.
    response = await api.post("/api/v1/players", json={"username": "ada", "x" * 60_000: 1})
    assert len(response.content) < 1000
    (mistake,) = response.json()["errors"]
    assert mistake["loc"][1] == "x" * 99 + "\u2026"
    assert "more_errors" not in response.json()
    response = await api.get("/api/v1/players", params={"y" * 30_000: "1"})
    assert len(response.content) < 1000


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "application/a+json"])
async def test_json_media_types_with_parameters_or_suffixes_are_accepted(
    api: Api, media_type: str
) -> None:
    body = json.dumps({"username": "abc"})
    response = await api.post("/api/v1/players", content=body, headers={"Content-Type": media_type})
    assert response.status_code == 201


@pytest.mark.parametrize(("method", "path"), BODIES)
async def test_a_body_over_64_kib_is_413_without_being_read(
    api: Api, method: str, path: str
) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while read < 100 * 1024 * 1024:
            read += 1024
            yield b" " * 1024

    response = await api.request(method, path, content=endless(), headers=JSON)
    assert_problem(response, 413, "body_too_large")
    assert read <= 80 * 1024
    response = await api.request(method, path, content=b" " * 65537, headers=JSON)
    assert_problem(response, 413, "body_too_large")


async def test_a_body_of_exactly_64_kib_is_read(api: Api) -> None:
    body = json.dumps({"username": "abc"}).encode().ljust(65536)
    response = await api.post("/api/v1/players", content=body, headers=JSON)
    assert response.status_code == 201


async def test_an_unknown_query_parameter_is_422(api: Api) -> None:
    for method, path in [*BODIES, ("GET", "/health"), ("DELETE", "/api/v1/players/a")]:
        response = await api.request(method, f"{path}?verbose=1", json={})
        problem = assert_problem(response, 422, "validation_error")
        assert problem["errors"][0]["loc"] == ["query", "verbose"]


async def test_validation_comes_before_the_database(runtime: Runtime) -> None:
    """Without a reachable database, a malformed request still gets 422."""
    async with running(create_app(runtime, "mongodb://127.0.0.1:1/")) as app:
        for method, path in BODIES:
            response = await app.client.request(method, path, json={"unknown": 1})
            assert_problem(response, 422, "validation_error")
        response = await app.client.get("/api/v1/players/a", headers={"If-None-Match": "x"})
        assert_problem(response, 422, "validation_error")
        response = await app.client.get("/api/v1/players?cursor=x")
        assert_problem(response, 422, "validation_error")


async def test_a_request_that_waits_too_long_is_503(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline of the driver does not cover every kind of waiting."""
    monkeypatch.setattr(routing, "DEADLINE", 0.1)
    monkeypatch.setattr(routing, "GRACE", 0.1)
    router = APIRouter(route_class=ApiRoute)

    @router.get("/", operation_id="getHealth")  # An operation that needs no token.
    async def wait() -> None:
        await asyncio.Event().wait()

    app = FastAPI(exception_handlers=HANDLERS)
    app.add_middleware(RequestContext, metrics=Metrics())
    app.include_router(router)
    async with running(app) as started:
        assert_problem(await started.client.get("/"), 503, "database_unavailable")


async def test_an_unexpected_failure_is_500_and_does_not_reveal_the_reason(
    api: Api, database: Any, log_lines: Lines
) -> None:
    # The service never writes such a document, so reading it fails unexpectedly.
    await database.players.insert_one({"_id": "broken", "secret": "hunter2"})
    for path in ("/api/v1/players/broken", "/api/v1/players"):
        response = await api.get(path)
        problem = assert_problem(response, 500, "internal_error")
        assert "hunter2" not in response.text and "Traceback" not in response.text
        entry = log_lines.access()[-1]
        assert entry["level"] == "error" and entry["status"] == 500
        assert entry["request_id"] == problem["request_id"]
        assert "KeyError" in entry["exception"]
        assert "hunter2" not in log_lines.lines[-1]
    body = {"name": "s", "game_mode": "duel", "max_players": 2}
    session_id = (await api.post("/api/v1/sessions", json=body)).json()["session_id"]
    await database.sessions.update_one({"_id": session_id}, {"$set": {"members": "broken"}})
    response = await api.put(f"/api/v1/sessions/{session_id}", json={"name": "x"})
    assert_problem(response, 500, "internal_error")


async def test_a_repeated_key_that_is_no_unicode_text_is_422(api: Api) -> None:
    body = b'{"\\ud800": 1, "\\ud800": 2}'
    for method, path in BODIES:
        response = await api.request(method, path, content=body, headers=JSON)
        problem = assert_problem(response, 422, "validation_error")
        assert problem["errors"][0]["loc"] == ["body", "\\ud800"]


async def test_a_body_in_another_encoding_than_utf_8_is_422(api: Api) -> None:
    for encoding in ("utf-16", "utf-32", "utf-8-sig"):
        body = '{"username": "abc"}'.encode(encoding)
        response = await api.post("/api/v1/players", content=body, headers=JSON)
        problem = assert_problem(response, 422, "validation_error")
        if encoding == "utf-8-sig":
            assert "BOM" in problem["errors"][0]["msg"]


@pytest.mark.parametrize("media_type", ["application/a/b+json", "application/<>+json"])
async def test_what_is_no_media_type_is_415(api: Api, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    response = await api.post("/api/v1/players", content=b"{}", headers=headers)
    assert_problem(response, 415, "unsupported_media_type")
