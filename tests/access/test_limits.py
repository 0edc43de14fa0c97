"""Rate limits: of each principal, and of wrong tokens from an address."""

import math
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond

from game_api.access.limits import Limiter, client_address
from game_api.app import create_app
from game_api.runtime import Runtime
from game_api.settings import Settings
from tests.access.minting import SECRET, bearer, token
from tests.apps import running
from tests.conftest import Lines
from tests.http.checks import assert_problem
from tests.service import Service

ADA = bearer("ada", "player")
WRONG = {"Authorization": "Bearer wrong"}


@asynccontextmanager
async def limited(uri: str, **settings: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the app with authentication and these settings."""
    defaults = {"auth": "jwt", "jwt_secret": SECRET, "trusted_proxies": 1}
    given = Settings.model_validate(defaults | settings)
    async with running(create_app(Runtime(given), uri)) as app:
        yield app.client


async def get(api: httpx2.AsyncClient, *headers: dict[str, str]) -> httpx2.Response:
    merged = {name: value for each in headers for name, value in each.items()}
    return await api.get("/api/v1/players/ada", headers=merged)


def at(address: str) -> dict[str, str]:
    """The header by which the load balancer tells the client's address."""
    return {"X-Forwarded-For": address}


async def test_a_principal_has_its_own_limit(service_database: str) -> None:
    async with limited(service_database, rate_limit="3/minute") as api:
        for remaining in (2, 1, 0):
            response = await get(api, ADA)
            assert response.status_code == 404
            assert response.headers["ratelimit-policy"] == '"default";q=3;w=60'
            assert re.fullmatch(
                rf'"default";r={remaining};t=(59|60)', response.headers["ratelimit"]
            )
        # Another token of the same principal does not help.
        for headers in (ADA, bearer("ada", "player", extra=1)):
            response = await get(api, headers)
            assert_problem(response, 429, "rate_limited")
            assert 1 <= int(response.headers["retry-after"]) <= 60
            assert response.headers["ratelimit"].startswith('"default";r=0;t=')
        assert (await get(api, bearer("bob", "player"))).status_code == 404


async def test_a_limit_covers_refusals_and_is_shown_with_them(service_database: str) -> None:
    async with limited(service_database, rate_limit="3/minute") as api:
        forbidden = await api.delete("/api/v1/players/bob", headers=ADA)
        invalid = await api.get("/api/v1/players?limit=0", headers=ADA)
        for response, status, remaining in ((forbidden, 403, 2), (invalid, 422, 1)):
            assert response.status_code == status
            assert response.headers["ratelimit"].startswith(f'"default";r={remaining};')


async def test_health_and_documents_have_no_limit(service_database: str) -> None:
    async with limited(service_database, rate_limit="1/minute", auth_failure_limit="1/day") as api:
        await get(api, ADA)
        await get(api, WRONG)
        for path in ("/health", "/health/ready", "/docs", "/openapi.json"):
            for headers in ({}, ADA, WRONG):
                response = await api.get(path, headers=headers)
                assert response.status_code == 200
                assert "ratelimit" not in response.headers


async def test_limits_can_be_off(service_database: str) -> None:
    off = {"rate_limit": "off", "auth_failure_limit": "off"}
    async with limited(service_database, **off) as api:
        for headers, status in ((ADA, 404), (WRONG, 401)):
            response = await get(api, headers)
            assert response.status_code == status
            assert "ratelimit" not in response.headers


async def test_without_authentication_there_is_no_limit(service_database: str) -> None:
    async with limited(service_database, auth="none", rate_limit="1/minute") as api:
        for _ in range(3):
            assert (await get(api, WRONG)).status_code == 404


async def test_wrong_tokens_stop_the_tokens_of_an_address(service_database: str) -> None:
    async with limited(service_database, auth_failure_limit="2/minute") as api:
        here, there = at("198.51.100.1"), at("198.51.100.2")
        for remaining in (1, 0):
            response = await get(api, WRONG, here)
            assert_problem(response, 401, "unauthenticated")
            assert response.headers["ratelimit"].startswith(f'"failures";r={remaining};')
            assert response.headers["ratelimit-policy"] == '"failures";q=2;w=60'
        for headers in (WRONG, ADA):
            response = await get(api, headers, here)
            assert_problem(response, 429, "rate_limited")
            assert 1 <= int(response.headers["retry-after"]) <= 60
        # A request without a token is told that it needs one, and other addresses go on.
        assert (await get(api, here)).status_code == 401
        assert (await get(api, ADA, there)).status_code == 404


async def test_missing_tokens_are_not_counted(service_database: str) -> None:
    async with limited(service_database, auth_failure_limit="1/minute") as api:
        for _ in range(3):
            assert (await get(api)).status_code == 401
        assert (await get(api, ADA)).status_code == 404


async def test_a_token_without_a_role_is_limited_but_not_wrong(service_database: str) -> None:
    limits = {"auth_failure_limit": "1/minute", "rate_limit": "2/minute"}
    async with limited(service_database, **limits) as api:
        for status, code in ((403, "forbidden"), (403, "forbidden"), (429, "rate_limited")):
            response = await get(api, bearer("ada", "painter"))
            assert_problem(response, status, code)


async def test_a_limited_request_is_logged_with_its_caller(
    service_database: str, log_lines: Lines
) -> None:
    async with limited(service_database, rate_limit="1/minute") as api:
        for _ in range(2):
            await get(api, ADA)
    assert [(e["status"], e["caller"], e["role"]) for e in log_lines.access()] == [
        (404, "ada", "player"),
        (429, "ada", "player"),
    ]


def test_a_client_can_not_choose_its_address(
    start_service: Callable[..., Service], service_database: str
) -> None:
    """The header counts only behind a trusted proxy, also for clients on the same machine."""
    service = start_service(
        GAME_API_MONGODB_URI=service_database,
        GAME_API_AUTH="jwt",
        GAME_API_JWT_SECRET=SECRET,
        GAME_API_AUTH_FAILURE_LIMIT="2/minute",
    ).wait_until_ready()
    url = f"{service.address}/api/v1/players/ada"
    statuses = [
        httpx2.get(url, headers=WRONG | at(f"198.51.100.{number}")).status_code
        for number in range(3)
    ]
    assert statuses == [401, 401, 429]


async def test_the_refusals_are_counted(service_database: str) -> None:
    settings = Settings.model_validate(
        {"auth": "jwt", "jwt_secret": SECRET, "rate_limit": "2/minute"}
    )
    runtime = Runtime(settings)
    async with running(create_app(runtime, service_database)) as app:
        await get(app.client)
        await app.client.delete("/api/v1/players/bob", headers=ADA)
        for _ in range(3):
            await get(app.client, ADA)
    counts = {
        sample.name: sample.value
        for metric in runtime.metrics.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
    assert counts["game_session_unauthenticated_total"] == 1
    assert counts["game_session_forbidden_total"] == 1
    assert counts["game_session_rate_limited_total"] == 2


async def test_the_caller_is_logged_and_the_token_is_not(
    service_database: str, log_lines: Lines
) -> None:
    secret = token("ada", "player", "server")
    async with limited(service_database) as api:
        await get(api, {"Authorization": f"Bearer {secret}"})
        await get(api, {"Authorization": f"bearer {secret[:-3]}xyz"})
        await get(api, {"Authorization": f"Basic {secret}"})
        await api.get(f"/api/v1/players?access_token={secret}", headers=ADA)
        await get(api)
    entries = log_lines.access()
    assert [(entry.get("caller"), entry.get("role")) for entry in entries] == [
        ("ada", "server"),
        (None, None),
        (None, None),
        ("ada", "player"),
        (None, None),
    ]
    logged = "\n".join(log_lines.lines)
    for part in (*secret.split("."), SECRET):
        assert part not in logged


def test_a_window_moves() -> None:
    limiter = Limiter("test", RateLimitItemPerSecond(2))
    assert [limiter.hit("a")[0] for _ in range(3)] == [True, True, False]
    started = time.monotonic()
    while not limiter.hit("a")[0]:
        time.sleep(0.01)
    assert time.monotonic() - started > 0.5
    assert limiter.usage("a").remaining == 0 or time.monotonic() - started > 1


def test_a_limiter_forgets_who_is_silent() -> None:
    limiter = Limiter("test", RateLimitItemPerSecond(5))
    for number in range(1000):
        limiter.hit(str(number))
    time.sleep(1.1)
    assert not limiter.unused
    limiter.hit("last")
    assert len(limiter._times) == 1


def test_a_refused_request_does_not_extend_the_window() -> None:
    limiter = Limiter("test", RateLimitItemPerMinute(1))
    limiter.hit("a")
    first = limiter.usage("a").reset
    for _ in range(100):
        limiter.hit("a")
    assert limiter.usage("a").reset <= first <= math.ceil(60)


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        ("", 0, "192.0.2.1"),
        ("198.51.100.1", 0, "192.0.2.1"),
        ("198.51.100.1", 1, "198.51.100.1"),
        ("203.0.113.9, 198.51.100.1", 1, "198.51.100.1"),
        ("203.0.113.9,198.51.100.1 , 198.51.100.2", 2, "198.51.100.1"),
        ("198.51.100.1", 2, "192.0.2.1"),
        ("", 1, "192.0.2.1"),
        ("nonsense", 1, "192.0.2.1"),
        ("198.51.100.1:443", 1, "192.0.2.1"),
        ("x" * 60_000, 1, "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", 1, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", 1, "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.1", 1, "198.51.100.1"),
    ],
)
def test_the_address_that_counts(forwarded: str, proxies: int, address: str) -> None:
    assert client_address("192.0.2.1", forwarded, proxies) == address


async def test_addresses_in_several_lines_are_one_list(service_database: str) -> None:
    async with limited(service_database, auth_failure_limit="1/minute") as api:
        forged = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "198.51.100.1")]
        for status in (401, 429):
            headers = [*forged, ("Authorization", "Bearer wrong")]
            response = await api.get("/api/v1/players/ada", headers=headers)
            assert response.status_code == status
        assert (await get(api, WRONG, at("203.0.113.9"))).status_code == 401
