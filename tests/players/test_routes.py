"""The endpoints of players."""

import json
import re
from typing import Any

import httpx2
import pytest

Api = httpx2.AsyncClient


def as_json(body: Any) -> dict[str, Any]:
    """Arguments for a request with this body. With `json=`, httpx2 can't send lone surrogates."""
    return {"content": json.dumps(body), "headers": {"Content-Type": "application/json"}}


async def create(api: Api, **fields: Any) -> dict[str, Any]:
    response = await api.post("/api/v1/players", json=fields)
    assert response.status_code == 201, response.text
    player: dict[str, Any] = response.json()
    return player


async def test_a_player_is_created_with_defaults(api: Api) -> None:
    response = await api.post("/api/v1/players", json={"username": "Ada"})
    player = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/v1/players/{player['player_id']}"
    assert response.headers["etag"] == '"1"'
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", player["created_at"])
    assert player == {
        "player_id": player["player_id"],
        "username": "Ada",
        "display_name": "Ada",
        "region": None,
        "rating": 1000,
        "attributes": {},
        "created_at": player["created_at"],
        "updated_at": player["created_at"],
        "version": 1,
    }
    assert (await api.get(response.headers["location"])).json() == player


async def test_generated_ids_sort_by_the_time_of_creation(api: Api) -> None:
    ids = [(await create(api, username=f"user{n}"))["player_id"] for n in range(5)]
    assert ids == sorted(ids)


async def test_every_field_can_be_given(api: Api) -> None:
    fields = {
        "player_id": "p_-1",
        "username": "bob.the-2_nd",
        "display_name": "Bob \N{GAME DIE}",
        "region": "eu-1",
        "rating": 100000,
        "attributes": {"level": 5, "ratio": 0.5, "vip": True, "clan": "\u20ac"},
    }
    player = await create(api, **fields)
    assert {key: player[key] for key in fields} == fields
    assert (await api.get("/api/v1/players/p_-1")).json() == player


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "ab"},
        {"username": "a" * 33},
        {"username": "-abc"},
        {"username": "a b c"},
        {"username": "\u00e4bc"},
        {"username": None},
        {"username": 123},
        {"username": "abc\n"},
        {"username": "\ud800abc"},
        {"username": "abc", "player_id": ""},
        {"username": "abc", "player_id": "a" * 65},
        {"username": "abc", "player_id": "a/b"},
        {"username": "abc", "player_id": None},
        {"username": "abc", "display_name": ""},
        {"username": "abc", "display_name": "x" * 65},
        {"username": "abc", "display_name": None},
        {"username": "abc", "display_name": "\udfff"},
        {"username": "abc", "region": "E"},
        {"username": "abc", "region": "x"},
        {"username": "abc", "rating": -1},
        {"username": "abc", "rating": 100001},
        {"username": "abc", "rating": 1.5},
        {"username": "abc", "rating": "5"},
        {"username": "abc", "rating": True},
        {"username": "abc", "rating": None},
        {"username": "abc", "attributes": None},
        {"username": "abc", "attributes": {"a": None}},
        {"username": "abc", "attributes": {"a": 2**63}},
        {"username": "abc", "attributes": {"a.b": 1}},
        {"username": "abc", "session_id": "s"},
        {"username": "abc", "version": 7},
        [],
        "abc",
        None,
    ],
)
async def test_an_invalid_player_is_422_and_nothing_is_created(api: Api, body: Any) -> None:
    response = await api.post("/api/v1/players", **as_json(body))
    problem = response.json()
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["code"] == "validation_error"
    assert problem["errors"] and all(set(e) == {"loc", "msg", "type"} for e in problem["errors"])
    assert (await api.get("/api/v1/players")).json()["items"] == []


async def test_one_mistake_is_one_error_with_its_location_in_the_body(api: Api) -> None:
    values: list[Any] = [None, [], 2**64, "x" * 3000]
    for value in values:
        body = {"username": "abc", "attributes": {"a": value}}
        (error,) = (await api.post("/api/v1/players", json=body)).json()["errors"]
        assert error["loc"] == ["body", "attributes", "a"]


async def test_a_whole_number_may_be_written_as_a_float(api: Api) -> None:
    response = await api.post(
        "/api/v1/players",
        content=b'{"username": "abc", "rating": 5.0}',
        headers={"Content-Type": "application/json"},
    )
    assert response.json()["rating"] == 5


async def test_a_username_is_unique_regardless_of_case(api: Api) -> None:
    await create(api, username="Ada", player_id="a")
    response = await api.post("/api/v1/players", json={"username": "aDA"})
    assert (response.status_code, response.json()["code"]) == (409, "username_taken")
    response = await api.post("/api/v1/players", json={"username": "new", "player_id": "a"})
    assert (response.status_code, response.json()["code"]) == (409, "player_exists")
    await create(api, username="bob", player_id="b")
    response = await api.put("/api/v1/players/b", json={"username": "ADA"})
    assert (response.status_code, response.json()["code"]) == (409, "username_taken")
    response = await api.put("/api/v1/players/a", json={"username": "ADA"})
    assert (response.status_code, response.json()["version"]) == (200, 2)


async def test_a_username_that_is_no_longer_used_can_be_taken(api: Api) -> None:
    await create(api, username="ada", player_id="a")
    await api.put("/api/v1/players/a", json={"username": "eve"})
    await create(api, username="ada", player_id="b")
    await api.delete("/api/v1/players/a")
    await create(api, username="eve", player_id="a")


async def test_a_put_changes_only_the_given_fields(api: Api) -> None:
    before = await create(api, username="ada", player_id="a", region="eu", attributes={"x": 1})
    response = await api.put(
        "/api/v1/players/a", json={"display_name": "Ada L.", "attributes": {"y": 2}}
    )
    after = response.json()
    assert after == before | {
        "display_name": "Ada L.",
        "attributes": {"y": 2},
        "updated_at": after["updated_at"],
        "version": 2,
    }
    assert response.headers["etag"] == '"2"'
    assert (await api.put("/api/v1/players/a", json={"region": None})).json()["region"] is None


async def test_a_put_that_changes_nothing_creates_no_version(api: Api) -> None:
    before = await create(api, username="ada", player_id="a")
    for body in ({}, {"username": "ada"}, {"rating": 1000, "region": None}):
        assert (await api.put("/api/v1/players/a", json=body)).json() == before


@pytest.mark.parametrize(
    "body",
    [
        {"username": None},
        {"display_name": None},
        {"rating": None},
        {"attributes": None},
        {"player_id": "b"},
        {"session_id": None},
        {"rating": "1"},
        [],
        None,
    ],
)
async def test_an_invalid_put_is_422_and_changes_nothing(api: Api, body: Any) -> None:
    before = await create(api, username="ada", player_id="a")
    response = await api.put("/api/v1/players/a", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "validation_error")
    assert (await api.get("/api/v1/players/a")).json() == before


async def test_an_unknown_player_is_404(api: Api) -> None:
    for method in ("GET", "PUT", "DELETE"):
        response = await api.request(method, "/api/v1/players/nobody", json={})
        assert (response.status_code, response.json()["code"]) == (404, "player_not_found")
    response = await api.get("/api/v1/players/nobody/session")
    assert (response.status_code, response.json()["code"]) == (404, "player_not_found")


@pytest.mark.parametrize("player_id", ["a.b", "a" * 65, "%20", "a%2Fb", "%00", "\u00e4"])
async def test_a_player_id_that_does_not_match_its_pattern_is_422(api: Api, player_id: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        response = await api.request(method, f"/api/v1/players/{player_id}", json={})
        # An encoded slash is decoded before routing, and the resulting path does not exist.
        assert response.status_code == (404 if "%2F" in player_id else 422)


async def test_preconditions_are_checked_against_the_version(api: Api) -> None:
    await create(api, username="ada", player_id="a")
    path = "/api/v1/players/a"
    stale = await api.put(path, json={"rating": 1}, headers={"If-Match": '"2"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "version_mismatch")
    assert stale.json()["current_version"] == 1
    assert (await api.put(path, json={}, headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await api.put(path, json={}, headers={"If-Match": "1"})).status_code == 422
    fresh = await api.put(path, json={"rating": 1}, headers={"If-Match": '"7", "1"'})
    assert (fresh.status_code, fresh.headers["etag"]) == (200, '"2"')
    assert (await api.put(path, json={}, headers={"If-Match": "*"})).status_code == 200

    known = await api.get(path, headers={"If-None-Match": '"2"'})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", '"2"')
    assert (await api.get(path, headers={"If-None-Match": 'W/"2"'})).status_code == 304
    assert (await api.get(path, headers={"If-None-Match": '"1"'})).status_code == 200
    assert (await api.get(path, headers={"If-None-Match": "x"})).status_code == 422

    assert (await api.delete(path, headers={"If-Match": '"1"'})).status_code == 412
    assert (await api.delete(path, headers={"If-Match": '"2"'})).status_code == 204


async def test_a_deleted_player_is_404(api: Api) -> None:
    await create(api, username="ada", player_id="a")
    response = await api.delete("/api/v1/players/a")
    assert (response.status_code, response.content) == (204, b"")
    assert (await api.get("/api/v1/players/a")).status_code == 404
    assert (await api.delete("/api/v1/players/a")).status_code == 404


async def test_players_are_listed_in_pages_sorted_by_id(api: Api) -> None:
    ids = ["B", "_x", "a", "a-1", "aa", "b", "9"]
    for number, player_id in enumerate(ids):
        await create(api, username=f"user{number}", player_id=player_id)
    seen, cursor = [], None
    while True:
        parameters = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await api.get("/api/v1/players", params=parameters)).json()
        seen += [player["player_id"] for player in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["items"]) == 3
    assert seen == sorted(ids)


async def test_the_username_filter_ignores_case(api: Api) -> None:
    player = await create(api, username="Ada")
    page = (await api.get("/api/v1/players", params={"username": "aDA"})).json()
    assert page == {"items": [player], "next_cursor": None}
    page = (await api.get("/api/v1/players", params={"username": "eve"})).json()
    assert page == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=",
        "cursor=",
        "cursor=abc",
        "cursor=%00",
        "cursor=" + "A" * 600,
        "username=a",
        "user=ada",
        "limit=1&limit=2",
        "Limit=1",
    ],
)
async def test_an_invalid_query_is_422(api: Api, query: str) -> None:
    response = await api.get(f"/api/v1/players?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "validation_error")
    assert response.json()["errors"][0]["loc"][0] == "query"


async def test_a_cursor_of_another_list_is_422(api: Api) -> None:
    for number in range(2):
        await create(api, username=f"user{number}")
        body = {"name": "s", "game_mode": "duel", "max_players": 2}
        await api.post("/api/v1/sessions", json=body)
    players = (await api.get("/api/v1/players?limit=1")).json()["next_cursor"]
    sessions = (await api.get("/api/v1/sessions?limit=1")).json()["next_cursor"]
    assert (await api.get(f"/api/v1/players?cursor={sessions}")).status_code == 422
    assert (await api.get(f"/api/v1/sessions?cursor={players}")).status_code == 422
    response = await api.get(f"/api/v1/sessions?cursor={sessions}&status=waiting")
    assert response.status_code == 422
    assert (await api.get(f"/api/v1/sessions?cursor={sessions}")).status_code == 200
