"""The endpoints of sessions: creation, changes, and preconditions."""

import asyncio
import json
from typing import Any

import pytest

from tests.sessions.requests import (
    PATH,
    Api,
    add_players,
    create_session,
    error,
    join,
    path_of,
    update,
)


async def test_a_session_is_created_with_defaults(api: Api) -> None:
    body = {"name": "Friday duel", "game_mode": "duel", "max_players": 2}
    response = await api.post(PATH, json=body)
    session = response.json()
    assert response.headers["location"] == path_of(session)
    assert response.headers["etag"] == '"1"'
    assert session == {
        "session_id": session["session_id"],
        "name": "Friday duel",
        "game_mode": "duel",
        "region": None,
        "status": "waiting",
        "visibility": "public",
        "max_players": 2,
        "min_players": 1,
        "player_count": 0,
        "free_slots": 2,
        "join_in_progress": False,
        "host_player_id": None,
        "members": [],
        "server": None,
        "attributes": {},
        "created_at": session["created_at"],
        "updated_at": session["created_at"],
        "started_at": None,
        "ended_at": None,
        "version": 1,
    }
    assert (await api.get(response.headers["location"])).json() == session


async def test_a_host_takes_the_first_seat(api: Api) -> None:
    await add_players(api, "ada")
    session = await create_session(api, host_player_id="ada")
    assert (session["host_player_id"], session["player_count"], session["version"]) == ("ada", 1, 1)
    assert [m["player_id"] for m in session["members"]] == ["ada"]
    assert (await api.get("/api/v1/players/ada/session")).json() == session


async def test_a_host_must_exist_and_be_free(api: Api) -> None:
    body = {"name": "s", "game_mode": "duel", "max_players": 2, "host_player_id": "ada"}
    assert error(await api.post(PATH, json=body)) == (404, "player_not_found")
    await add_players(api, "ada")
    first = await create_session(api, host_player_id="ada")
    response = await api.post(PATH, json=body)
    assert error(response) == (409, "already_in_session")
    assert response.json()["session_id"] == first["session_id"]
    assert len((await api.get(PATH)).json()["items"]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "x" * 65},
        {"name": None},
        {"name": "\udc00"},
        {"game_mode": "Duel"},
        {"game_mode": ""},
        {"game_mode": "-x"},
        {"game_mode": "x" * 33},
        {"max_players": 0},
        {"max_players": 257},
        {"max_players": "2"},
        {"max_players": 1.5},
        {"max_players": True},
        {"max_players": None},
        {"min_players": 0},
        {"min_players": 5},
        {"min_players": None},
        {"visibility": "secret"},
        {"visibility": None},
        {"join_in_progress": "yes"},
        {"join_in_progress": 1},
        {"join_in_progress": None},
        {"host_player_id": ""},
        {"host_player_id": None},
        {"region": "EU"},
        {"attributes": {"a": {}}},
        {"status": "active"},
        {"members": []},
    ],
)
async def test_an_invalid_session_is_422_and_nothing_is_created(
    api: Api, change: dict[str, Any]
) -> None:
    body = {"name": "s", "game_mode": "duel", "max_players": 4} | change
    headers = {"Content-Type": "application/json"}
    response = await api.post(PATH, content=json.dumps(body), headers=headers)
    assert error(response) == (422, "validation_error")
    assert (await api.get(PATH)).json()["items"] == []


async def test_a_session_goes_from_waiting_to_ended(api: Api) -> None:
    await add_players(api, "ada", "bob")
    session = await create_session(api, max_players=2, min_players=2, host_player_id="ada")
    response = await update(api, session, status="starting")
    assert error(response) == (409, "not_enough_players")
    assert (response.json()["player_count"], response.json()["min_players"]) == (1, 2)
    await join(api, session, "bob")
    response = await update(api, session, status="active")
    assert error(response) == (409, "illegal_transition")
    problem = response.json()
    assert (problem["from"], problem["to"]) == ("waiting", "active")
    assert problem["allowed"] == ["starting", "cancelled"]
    assert (await update(api, session, status="starting")).json()["status"] == "starting"
    server = {"address": "198.51.100.7", "port": 7777}
    started = (await update(api, session, status="active", server=server)).json()
    assert started["started_at"] and started["server"] == server
    assert error(await update(api, session, status="expired")) == (409, "illegal_transition")
    ended = (await update(api, session, status="ended")).json()
    assert ended["ended_at"] and ended["version"] == 5
    assert (await update(api, session, status="ended")).json() == ended
    assert error(await update(api, session, name="x")) == (409, "session_over")
    assert error(await update(api, session, status="active")) == (409, "session_over")


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "over"},
        {"status": None},
        {"name": None},
        {"name": ""},
        {"max_players": None},
        {"max_players": 300},
        {"min_players": 9},
        {"visibility": None},
        {"join_in_progress": None},
        {"host_player_id": None},
        {"attributes": None},
        {"server": {"address": "x"}},
        {"server": {"address": "", "port": 1}},
        {"server": {"address": "a b", "port": 1}},
        {"server": {"address": "x", "port": 0}},
        {"server": {"address": "x", "port": 65536}},
        {"server": {"address": "x", "port": 1, "tls": True}},
        {"server": "x:1"},
        {"game_mode": "duel"},
        {"version": 1},
        [],
        None,
    ],
)
async def test_an_invalid_put_is_422_and_changes_nothing(api: Api, changes: Any) -> None:
    session = await create_session(api)
    response = await api.put(path_of(session), json=changes)
    assert error(response) == (422, "validation_error")
    assert (await api.get(path_of(session))).json() == session


async def test_a_contradictory_body_is_422_before_anything_else_is_checked(api: Api) -> None:
    body = {"min_players": 3, "max_players": 2}
    response = await api.put(f"{PATH}/nope", json=body, headers={"If-Match": '"7"'})
    assert error(response) == (422, "validation_error")


async def test_settings_are_checked_against_the_members(api: Api) -> None:
    await add_players(api, "ada", "bob", "eve")
    session = await create_session(api, host_player_id="ada")
    await join(api, session, "bob")
    assert error(await update(api, session, max_players=1)) == (409, "too_many_members")
    assert error(await update(api, session, host_player_id="eve")) == (409, "not_a_member")
    assert (await update(api, session, host_player_id="bob")).json()["host_player_id"] == "bob"


async def test_an_unknown_session_is_404(api: Api) -> None:
    await add_players(api, "ada")
    assert error(await api.get(f"{PATH}/nope")) == (404, "session_not_found")
    assert error(await api.put(f"{PATH}/nope", json={})) == (404, "session_not_found")
    assert error(await api.delete(f"{PATH}/nope/players/ada")) == (404, "session_not_found")
    response = await api.post(f"{PATH}/nope/players", json={"player_ids": ["ada"]})
    assert error(response) == (404, "session_not_found")


async def test_preconditions_are_checked_together_with_the_change(api: Api) -> None:
    await add_players(api, "ada", "bob")
    session = await create_session(api)
    path = path_of(session)
    stale = {"If-Match": '"2"'}
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", path, {"json": {"name": "x"}}),
        ("PUT", f"{path}/players/ada", {}),
        ("PATCH", f"{path}/players/ada", {"json": {"ready": True}}),
        ("DELETE", f"{path}/players/ada", {}),
    ]
    for method, target, body in requests:
        response = await api.request(method, target, headers=stale, **body)
        assert error(response) == (412, "version_mismatch")
        assert response.json()["current_version"] == 1
    responses = await asyncio.gather(
        *(api.put(path, json={"name": f"name {n}"}, headers={"If-Match": '"1"'}) for n in range(10))
    )
    assert sorted(response.status_code for response in responses) == [200] + [412] * 9
    assert (await api.get(path, headers={"If-None-Match": '"2"'})).status_code == 304
