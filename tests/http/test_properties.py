"""The properties of resources: which ones clients may set, and which ones they see."""

from typing import Any

import httpx2
import pytest

from tests.http.checks import assert_problem

Api = httpx2.AsyncClient
PLAYER = "/api/v1/players/ada"
INTERNAL = ("_id", "claim", "creation", "incarnation", "keyed", "purge_at", "revision", "writes")
MADE_UP = ("caller", "role", "unknown")


@pytest.fixture
async def document(api: Api) -> dict[str, Any]:
    """The OpenAPI document."""
    document: dict[str, Any] = (await api.get("/openapi.json")).json()
    return document


@pytest.fixture
async def session(api: Api) -> str:
    """The path of a session that Ada hosts."""
    await api.post("/api/v1/players", json={"player_id": "ada", "username": "ada"})
    body = {"name": "x", "game_mode": "duel", "max_players": 4, "host_player_id": "ada"}
    response = await api.post("/api/v1/sessions", json=body)
    return str(response.headers["location"])


def properties(document: dict[str, Any], schema: str) -> set[str]:
    return set(document["components"]["schemas"][schema]["properties"])


async def test_a_field_that_clients_may_not_set_is_422(
    api: Api, session: str, document: dict[str, Any]
) -> None:
    """Each request is valid but for one field more."""
    new_session = {"name": "x", "game_mode": "duel", "max_players": 4}
    requests: list[tuple[str, str, str, str, dict[str, Any]]] = [
        ("PlayerCreate", "Player", "POST", "/api/v1/players", {"username": "bob"}),
        ("PlayerUpdate", "Player", "PUT", PLAYER, {"rating": 7}),
        ("SessionCreate", "Session", "POST", "/api/v1/sessions", new_session),
        ("SessionUpdate", "Session", "PUT", session, {"name": "y"}),
        ("SessionJoin", "Member", "PUT", f"{session}/players/ada", {"team": "red"}),
        ("MemberUpdate", "Member", "PATCH", f"{session}/players/ada", {"team": "red"}),
        ("PartyJoin", "Session", "POST", f"{session}/players", {"player_ids": ["ada"]}),
    ]
    bodies = {
        body["schema"]["$ref"].rpartition("/")[2]
        for item in document["paths"].values()
        for operation in item.values()
        for body in operation.get("requestBody", {}).get("content", {}).values()
    }
    assert bodies == {schema for schema, *_ in requests}, "a request is missing here"
    shown = {path: (await api.get(path)).json() for path in (PLAYER, session)}
    values = shown[PLAYER] | shown[session] | shown[session]["members"][0]
    for schema, resource, method, path, body in requests:
        foreign = properties(document, resource) - properties(document, schema)
        for field in sorted(foreign.union(INTERNAL, MADE_UP)):
            response = await api.request(method, path, json=body | {field: values.get(field, 1)})
            problem = assert_problem(response, 422, "validation_error")
            assert [error["loc"] for error in problem["errors"]] == [["body", field]]
    assert shown == {path: (await api.get(path)).json() for path in shown}


async def test_a_response_shows_only_what_the_document_declares(
    api: Api, session: str, document: dict[str, Any]
) -> None:
    server = {"server": {"address": "198.51.100.7", "port": 7777}}
    changed = await api.put(session, json=server)
    listed = (await api.get("/api/v1/sessions")).json()["items"]
    seat = (await api.get(f"{PLAYER}/session")).json()
    for shown in (changed.json(), seat, *listed):
        assert set(shown) == properties(document, "Session")
        assert set(shown["server"]) == properties(document, "GameServer")
        assert set(shown["members"][0]) == properties(document, "Member")
    players = (await api.get("/api/v1/players")).json()["items"]
    for shown in ((await api.get(PLAYER)).json(), *players):
        assert set(shown) == properties(document, "Player")
