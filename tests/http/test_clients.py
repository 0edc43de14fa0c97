"""What browsers, caches and proxies need: HEAD, CORS, a path prefix, and the redirect to /docs."""

from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from game_api.app import create_app
from game_api.database.client import Database
from game_api.runtime import Runtime
from game_api.settings import Settings, SettingsError, load_settings
from tests.apps import running
from tests.conftest import Lines
from tests.http.checks import assert_problem
from tests.service import Service

Api = httpx2.AsyncClient
PLAYER = {"player_id": "ada", "username": "Ada"}
PAGE = "https://play.example.com"


async def test_head_is_answered_like_get_without_a_body(api: Api, log_lines: Lines) -> None:
    await api.post("/api/v1/players", json=PLAYER)
    paths = ["/health", "/health/ready", "/docs", "/openapi.json", "/docs/assets/swagger-ui.css"]
    paths += ["/api/v1/players", "/api/v1/players/ada", "/api/v1/players/nobody", "/nope"]
    for path in paths:
        get, head = await api.get(path), await api.head(path)
        assert (head.status_code, head.content) == (get.status_code, b"")
        for name in ("content-type", "content-length", "etag"):
            assert head.headers.get(name) == get.headers.get(name), (path, name)
        assert log_lines.access()[-1]["method"] == "HEAD"
        assert log_lines.access()[-1]["bytes"] == 0
    known = await api.head("/api/v1/players/ada", headers={"If-None-Match": '"1"'})
    assert (known.status_code, known.headers["etag"]) == (304, '"1"')


async def test_head_is_405_where_get_is(api: Api) -> None:
    response = await api.head("/api/v1/sessions/a/players")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_the_root_redirects_to_the_documentation(api: Api) -> None:
    response = await api.get("/")
    assert (response.status_code, response.headers["location"]) == (307, "/docs")


async def test_a_response_without_a_body_has_no_content_type(api: Api) -> None:
    await api.post("/api/v1/players", json=PLAYER)
    known = await api.get("/api/v1/players/ada", headers={"If-None-Match": '"1"'})
    deleted = await api.delete("/api/v1/players/ada")
    for response in (known, deleted):
        assert response.status_code in (204, 304)
        assert "content-type" not in response.headers and response.content == b""


@pytest.fixture
async def for_pages(uri: str, database: Database) -> AsyncIterator[Api]:
    """The app with two origins whose pages may use it."""
    settings = Settings(cors_origins=(PAGE, "http://localhost:5173"))
    async with running(create_app(Runtime(settings), uri)) as app:
        yield app.client


async def test_a_page_of_a_configured_origin_may_use_the_api(for_pages: Api) -> None:
    preflight = await for_pages.options(
        "/api/v1/players/ada",
        headers={
            "Origin": PAGE,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,"
            "if-match,if-none-match,x-request-id",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    assert "origin" in preflight.headers["vary"].lower()
    assert preflight.headers["x-request-id"]
    created = await for_pages.post("/api/v1/players", json=PLAYER, headers={"Origin": PAGE})
    assert created.headers["access-control-allow-origin"] == PAGE
    exposed = created.headers["access-control-expose-headers"].lower().split(", ")
    assert {"etag", "idempotent-replayed", "location", "retry-after", "x-request-id"} <= set(
        exposed
    )
    refused = await for_pages.get("/api/v1/players/nobody", headers={"Origin": PAGE})
    assert_problem(refused, 404, "player_not_found")
    assert refused.headers["access-control-allow-origin"] == PAGE


async def test_a_page_of_another_origin_may_not(for_pages: Api) -> None:
    headers = {"Origin": "https://evil.example.com", "Access-Control-Request-Method": "PUT"}
    preflight = await for_pages.options("/api/v1/players/ada", headers=headers)
    assert preflight.status_code == 400
    assert "access-control-allow-origin" not in preflight.headers
    response = await for_pages.get("/health", headers=headers)
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers


async def test_without_configured_origins_there_is_no_cors(api: Api) -> None:
    headers = {"Origin": PAGE, "Access-Control-Request-Method": "PUT"}
    assert_problem(
        await api.options("/api/v1/players/a", headers=headers), 405, "method_not_allowed"
    )
    assert "access-control-allow-origin" not in (await api.get("/health", headers=headers)).headers


@pytest.mark.parametrize(
    "origins", ["play.example.com", f"{PAGE}/", f"{PAGE},,", "null", "https://"]
)
def test_a_value_that_is_no_origin_is_refused(
    origins: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAME_API_CORS_ORIGINS", origins)
    with pytest.raises(SettingsError, match="GAME_API_CORS_ORIGINS.*is not an origin"):
        load_settings()


def test_the_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAME_API_CORS_ORIGINS", f"{PAGE}, http://localhost:5173")
    assert load_settings().cors_origins == (PAGE, "http://localhost:5173")


def test_behind_a_path_prefix_every_address_contains_it(
    start_service: Callable[..., Service], service_database: str
) -> None:
    """The proxy removes the prefix before it passes the request on."""
    service = start_service(
        GAME_API_MONGODB_URI=service_database, GAME_API_ROOT_PATH="/api"
    ).wait_until_ready()
    with httpx2.Client(base_url=service.address) as client:
        created = client.post("/api/v1/players", json=PLAYER)
        assert created.headers["location"] == "/api/api/v1/players/ada"
        assert client.get("/").headers["location"] == "/api/docs"
        docs = client.get("/docs").text
        assert "'/api/openapi.json'" in docs and '"/api/docs/assets/swagger-ui.css"' in docs
        assert client.get("/openapi.json").json()["servers"][0]["url"] == "/api"
        assert client.get("/docs/assets/swagger-ui.css").status_code == 200
        assert client.patch("/api/v1/players/ada").headers["allow"] == "GET, HEAD, PUT, DELETE"
