"""Access control as a whole: when it is off, and what can not be forgotten."""

from collections.abc import Callable

import httpx2
import pytest
from fastapi import APIRouter

from game_api.access import policy
from game_api.access.policy import PERMISSIONS
from game_api.app import create_app
from game_api.http.routing import ApiRoute
from game_api.runtime import Runtime
from tests.access.minting import SECRET, bearer, token
from tests.service import Service


async def test_a_token_in_the_query_is_no_token(guarded: httpx2.AsyncClient) -> None:
    for name in ("access_token", "token", "authorization"):
        query = {name: token("ada", "admin")}
        response = await guarded.get("/api/v1/sessions", params=query)
        assert response.status_code == 401


def test_a_route_without_a_row_in_the_table_fails_when_it_is_declared() -> None:
    router = APIRouter(route_class=ApiRoute)
    for operation in (None, "dropPlayers"):
        with pytest.raises(policy.NoPermission, match=str(operation)):
            router.get("/", operation_id=operation)(lambda: None)


def test_every_row_belongs_to_an_operation(runtime: Runtime) -> None:
    document = create_app(runtime, "mongodb://unused").openapi()
    operations = [
        each["operationId"] for path in document["paths"].values() for each in path.values()
    ]
    assert sorted(operations) == sorted(PERMISSIONS)


async def test_without_authentication_everybody_is_an_admin(api: httpx2.AsyncClient) -> None:
    """This is so locally, also for a request with a token, which nobody looks at."""
    for headers in ({}, bearer("ada", "player"), {"Authorization": "Bearer wrong"}):
        assert (await api.get("/api/v1/players", headers=headers)).status_code == 200


def test_the_service_says_once_that_authentication_is_off(
    start_service: Callable[..., Service], service_database: str
) -> None:
    warning = "AUTHENTICATION IS OFF"
    service = start_service(GAME_API_MONGODB_URI=service_database).wait_until_ready()
    service.wait_until(lambda: warning in service.output)
    for _ in range(3):
        httpx2.get(f"{service.address}/api/v1/players")
    service.terminate()
    assert service.output.count(warning) == 1
    jwt = {"GAME_API_AUTH": "jwt", "GAME_API_JWT_SECRET": SECRET}
    guarded = start_service(GAME_API_MONGODB_URI=service_database, **jwt).wait_until_ready()
    minted = Service(jwt, "token", "--role", "admin", "--subject", "me")
    assert minted.wait() == 0
    headers = {"Authorization": f"Bearer {minted.output.strip()}"}
    assert httpx2.get(f"{guarded.address}/api/v1/players", headers=headers).status_code == 200
    assert httpx2.get(f"{guarded.address}/api/v1/players").status_code == 401
    guarded.terminate()
    assert warning not in guarded.output


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [(["--role", "king", "--subject", "me"], "king"), (["--subject", "me"], "--role")],
)
def test_a_token_needs_a_role_that_exists(arguments: list[str], mistake: str) -> None:
    command = Service({"GAME_API_JWT_SECRET": SECRET}, "token", *arguments)
    assert command.wait() == 2
    assert mistake in command.output and "Traceback" not in command.output
