"""The security headers of every kind of response, as they are on the wire."""

import asyncio
import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest

from game_api.app import MODELS, create_app
from game_api.database.client import connect
from game_api.database.embedded import EmbeddedDatabase
from game_api.database.indexes import create_indexes
from game_api.http import protocol
from game_api.runtime import Runtime
from game_api.settings import Settings
from tests.access.minting import SECRET, token
from tests.apps import running
from tests.http.conftest import LocalServer
from tests.http.wire import Answer, Wire, request

NOTHING = "default-src 'none'; frame-ancestors 'none'"
HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": NOTHING,
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
ORIGIN = "Origin: https://play.example.com"
PLAYERS, SESSIONS = "/api/v1/players", "/api/v1/sessions"
CSS = "/docs/assets/swagger-ui.css"


def assert_protected(answer: Answer, policy: str = NOTHING) -> None:
    """Assert that the response has each header once, and one request id."""
    expected = HEADERS | {"Content-Security-Policy": policy}
    for name, value in expected.items():
        assert answer.headers.get_all(name) == [value], (answer.status, name)
    assert len(answer.headers.get_all("X-Request-ID", [])) == 1


@pytest.fixture(scope="module")
def protected(server: EmbeddedDatabase) -> Iterator[LocalServer]:
    """A server that requires tokens, permits two requests a minute, and has a broken document."""
    uri = f"mongodb://127.0.0.1:{server.port}/test_{uuid4().hex}?directConnection=true"

    async def prepare() -> None:
        async with connect(uri) as client:
            database = client.get_default_database()
            await create_indexes(database, MODELS)
            await database.players.insert_one({"_id": "broken"})

    asyncio.run(prepare())
    settings = {
        **{"auth": "jwt", "jwt_secret": SECRET, "rate_limit": "2/minute"},
        **{"auth_failure_limit": "off", "cors_origins": "https://play.example.com"},
    }
    local = LocalServer(Runtime(Settings.model_validate(settings)), uri, keep_alive=75)
    yield local
    local.stop()


def call(method: str, path: str, *headers: str, body: Any = None, role: str = "admin") -> bytes:
    """A request of a new principal with this role."""
    bearer = f"Authorization: Bearer {token(uuid4().hex, role)}"
    content = None if body is None else json.dumps(body).encode()
    return request(method, path, bearer, *headers, body=content)


def player(name: str) -> bytes:
    return call("POST", PLAYERS, body={"player_id": name, "username": name})


ME = request("GET", PLAYERS, f"Authorization: Bearer {token('me', 'admin')}")
REPEATED = call("POST", PLAYERS, "Idempotency-Key: 1", body={"player_id": "six", "username": "six"})

EXCHANGES: dict[str, tuple[int, list[bytes]]] = {
    "a list": (200, [call("GET", SESSIONS)]),
    "a creation": (201, [player("one")]),
    "a replayed creation": (201, [REPEATED, REPEATED]),
    "a deletion": (204, [player("two"), call("DELETE", f"{PLAYERS}/two")]),
    "not modified": (
        304,
        [player("three"), call("GET", f"{PLAYERS}/three", 'If-None-Match: "1"')],
    ),
    "the root": (307, [request("GET", "/")]),
    "not HTTP": (400, [b"hello world\r\n\r\n"]),
    "no token": (401, [request("GET", PLAYERS)]),
    "a wrong token": (401, [request("GET", PLAYERS, "Authorization: Bearer x")]),
    "another role": (403, [call("POST", PLAYERS, body={"username": "xxx"}, role="server")]),
    "no player": (404, [call("GET", f"{PLAYERS}/nobody")]),
    "no path": (404, [request("GET", "/nope")]),
    "another method": (405, [request("PATCH", PLAYERS)]),
    "a conflict": (409, [player("four"), player("four")]),
    "another version": (
        412,
        [player("five"), call("PUT", f"{PLAYERS}/five", 'If-Match: "9"', body={"rating": 1})],
    ),
    "a large body": (413, [call("POST", PLAYERS, body="x" * 70_000)]),
    "another media type": (
        415,
        [call("PUT", f"{PLAYERS}/x", "Content-Encoding: gzip", body={"rating": 1})],
    ),
    "nonsense": (422, [call("POST", PLAYERS, body={"nonsense": 1})]),
    "too many requests": (429, [ME, ME, ME]),
    "a large head": (431, [request("GET", "/health", f"X: {'x' * 70_000}")]),
    "a failure": (500, [call("GET", f"{PLAYERS}/broken")]),
    "health": (200, [request("GET", "/health")]),
    "the health of each component": (200, [request("GET", "/health/detailed")]),
    "the OpenAPI document": (200, [request("GET", "/openapi.json")]),
    "an asset": (200, [request("GET", CSS)]),
    "a part of an asset": (206, [request("GET", CSS, "Range: bytes=0-9")]),
    "a part that an asset lacks": (416, [request("GET", CSS, "Range: bytes=99999999-")]),
    "an asset that does not exist": (404, [request("GET", "/docs/assets/nope.js")]),
    "options of the server": (204, [request("OPTIONS", "*")]),
    "a page of a known origin": (200, [request("GET", "/health", ORIGIN)]),
    "a preflight": (
        200,
        [request("OPTIONS", PLAYERS, ORIGIN, "Access-Control-Request-Method: GET")],
    ),
    "a refused preflight": (
        400,
        [request("OPTIONS", PLAYERS, ORIGIN, "Access-Control-Request-Method: BREW")],
    ),
}


@pytest.mark.parametrize("kind", EXCHANGES)
def test_every_response_has_the_security_headers_once(protected: LocalServer, kind: str) -> None:
    status, requests = EXCHANGES[kind]
    with Wire(protected) as wire:
        for each in requests:
            answer = wire.exchange(each)
            assert_protected(answer)
    assert answer.status == status, answer.body


@pytest.mark.parametrize(
    ("path", "status"), [("/health", 200), (PLAYERS, 401), ("/nope", 404), (CSS, 200), ("/", 307)]
)
def test_head_has_the_same_headers(protected: LocalServer, path: str, status: int) -> None:
    with Wire(protected) as wire:
        wire.send(request("HEAD", path))
        answer = wire.answer(to_head=True)
        assert_protected(answer)
        assert answer.status == status


def test_a_request_that_takes_too_long_is_answered_with_them(
    serve: Callable[..., LocalServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_SECONDS", 0.2)
    with Wire(serve()) as wire:
        answer = wire.exchange(b"GET /health HTTP/1.1\r\n")
        assert_protected(answer)
        assert answer.status == 408


async def test_an_unavailable_service_answers_with_them(runtime: Runtime) -> None:
    async with running(create_app(runtime, "mongodb://127.0.0.1:1/")) as app:
        response = await app.client.get("/health/ready")
    assert response.status_code == 503
    for name, value in HEADERS.items():
        assert response.headers.get_list(name) == [value]


def test_the_policy_of_the_docs_allows_only_its_own_files_and_script(
    protected: LocalServer,
) -> None:
    """The page has one script of its own, and nothing else that runs."""
    with Wire(protected) as wire:
        answer = wire.exchange(request("GET", "/docs"))
        wire.send(request("HEAD", "/docs"))
        without_body = wire.answer(to_head=True)
    policy = answer.headers["Content-Security-Policy"]
    assert_protected(answer, policy)
    assert_protected(without_body, policy)
    directives = {name: sources for name, *sources in (each.split() for each in policy.split("; "))}
    page = answer.body.decode()
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    assert directives.pop("script-src") == ["'self'", f"'sha256-{digest}'"]
    assert directives.pop("connect-src") == ["'self'"]
    assert directives.pop("img-src") == ["'self'", "data:"]
    assert directives.pop("style-src") == ["'self'", "'unsafe-inline'"]
    assert directives and all(sources == ["'none'"] for sources in directives.values())
    assert {"default-src", "base-uri", "form-action", "frame-ancestors"} == set(directives)
    assert not re.search(r"<[^>]+\son\w+=|javascript:", page)
