"""The endpoints of the members of a session: join, leave, parties, readiness and team."""

from typing import Any

import pytest

from tests.sessions.requests import (
    PATH,
    Api,
    add_players,
    create_session,
    error,
    join,
    leave,
    path_of,
    update,
)


async def test_players_join_leave_and_join_again(api: Api) -> None:
    await add_players(api, "ada", "bob")
    session = await create_session(api)
    path = f"{path_of(session)}/players"
    first = await api.put(f"{path}/ada", json={"team": "red"})
    assert (first.status_code, first.headers["etag"]) == (201, '"2"')
    assert first.json()["members"][0]["team"] == "red"
    again = await api.put(f"{path}/ada")
    assert (again.status_code, again.json()) == (200, first.json())
    assert (await join(api, session, "bob")).status_code == 201
    assert (await leave(api, session, "ada")).status_code == 204
    assert (await leave(api, session, "ada")).status_code == 204
    current = (await api.get(path_of(session))).json()
    assert (current["host_player_id"], current["player_count"], current["version"]) == ("bob", 1, 4)
    assert (await join(api, session, "ada")).status_code == 201
    assert (await api.get("/api/v1/players/ada")).json()["version"] == 1


@pytest.mark.parametrize(
    "body", [{"team": ""}, {"team": "x" * 33}, {"team": None}, {"team": 1}, {"role": "x"}, [], "x"]
)
async def test_an_invalid_join_is_422_and_changes_nothing(api: Api, body: Any) -> None:
    await add_players(api, "ada")
    session = await create_session(api)
    response = await api.put(f"{path_of(session)}/players/ada", json=body)
    assert error(response) == (422, "validation_error")
    assert (await api.get(path_of(session))).json() == session


async def test_a_refused_join_reports_the_reason(api: Api) -> None:
    await add_players(api, "ada", "bob", "eve")
    duel = await create_session(api, max_players=1)
    assert error(await join(api, {"session_id": "nope"}, "ada")) == (404, "session_not_found")
    assert error(await join(api, duel, "nobody")) == (404, "player_not_found")
    await join(api, duel, "ada")
    assert error(await join(api, duel, "bob")) == (409, "session_full")

    other = await create_session(api)
    response = await join(api, other, "ada")
    assert error(response) == (409, "already_in_session")
    assert response.json()["session_id"] == duel["session_id"]

    await join(api, other, "bob")
    await update(api, other, status="starting")
    response = await join(api, other, "eve")
    assert error(response) == (409, "session_not_joinable")
    assert response.json()["session_status"] == "starting"
    await update(api, other, status="active")
    assert error(await join(api, other, "eve")) == (409, "session_not_joinable")
    await update(api, other, join_in_progress=True)
    assert (await join(api, other, "eve")).status_code == 201
    await update(api, other, status="ended")
    assert error(await join(api, other, "eve")) == (409, "session_not_joinable")


async def test_a_member_changes_its_readiness_and_its_team(api: Api) -> None:
    await add_players(api, "ada")
    session = await create_session(api, host_player_id="ada")
    path = f"{path_of(session)}/players"
    response = await api.patch(f"{path}/ada", json={"ready": True, "team": "red"})
    assert (response.status_code, response.headers["etag"]) == (200, '"2"')
    member = response.json()["members"][0]
    assert (member["ready"], member["team"]) == (True, "red")
    assert (await api.patch(f"{path}/ada", json={"ready": True})).json()["version"] == 2
    assert (await api.patch(f"{path}/ada", json={})).json()["version"] == 2
    assert error(await api.patch(f"{path}/bob", json={})) == (404, "not_a_member")
    invalid: list[Any] = [{"ready": None}, {"ready": 1}, {"team": None}, {"team": ""}, {"x": 1}, []]
    for body in invalid:
        assert error(await api.patch(f"{path}/ada", json=body)) == (422, "validation_error")
    await update(api, session, status="cancelled")
    response = await api.patch(f"{path}/ada", json={"ready": False})
    assert error(response) == (409, "session_over")
    response = await api.patch(f"{PATH}/nope/players/ada", json={})
    assert error(response) == (404, "session_not_found")


async def test_a_party_joins_in_a_single_version(api: Api) -> None:
    await add_players(api, "ada", "bob", "cleo", "dan", "eve")
    session = await create_session(api, host_player_id="ada")
    path = f"{path_of(session)}/players"
    response = await api.post(path, json={"player_ids": ["bob", "ada", "cleo"]})
    assert (response.status_code, response.json()["version"]) == (200, 2)
    assert [m["player_id"] for m in response.json()["members"]] == ["ada", "bob", "cleo"]
    response = await api.post(path, json={"player_ids": ["dan", "eve"]})
    assert error(response) == (409, "session_full")
    response = await api.post(path, json={"player_ids": ["nobody"]})
    assert error(response) == (404, "player_not_found")
    assert response.json()["player_id"] == "nobody"
    other = await create_session(api)
    other_path = f"{path_of(other)}/players"
    response = await api.post(other_path, json={"player_ids": ["dan", "bob"]})
    assert error(response) == (409, "already_in_session")
    assert response.json()["session_id"] == session["session_id"]
    assert error(await api.get("/api/v1/players/dan/session")) == (404, "not_in_session")
    assert (await api.post(path, json={"player_ids": ["dan"]})).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"player_ids": []},
        {"player_ids": ["a", "a"]},
        {"player_ids": [f"p{n}" for n in range(65)]},
        {"player_ids": ["a b"]},
        {"player_ids": [1]},
        {"player_ids": "ada"},
        {"player_ids": None},
        {"player_ids": ["a"], "team": "red"},
    ],
)
async def test_an_invalid_party_is_422(api: Api, body: Any) -> None:
    session = await create_session(api)
    response = await api.post(f"{path_of(session)}/players", json=body)
    assert error(response) == (422, "validation_error")


async def test_the_end_of_a_session_frees_its_players(api: Api) -> None:
    await add_players(api, "ada", "bob")
    first = await create_session(api, host_player_id="ada")
    await join(api, first, "bob")
    await update(api, first, status="cancelled")
    assert error(await api.get("/api/v1/players/ada/session")) == (404, "not_in_session")
    second = await create_session(api, host_player_id="ada")
    assert (await join(api, second, "bob")).status_code == 201
    ended = (await api.get(path_of(first))).json()
    assert [m["player_id"] for m in ended["members"]] == ["ada", "bob"]
    assert (await leave(api, first, "ada")).status_code == 204
    assert (await api.get(path_of(first))).json() == ended


async def test_a_seated_player_cannot_be_deleted(api: Api) -> None:
    await add_players(api, "ada")
    session = await create_session(api, host_player_id="ada")
    response = await api.delete("/api/v1/players/ada")
    assert error(response) == (409, "in_session")
    assert response.json()["session_id"] == session["session_id"]
    await leave(api, session, "ada")
    assert (await api.delete("/api/v1/players/ada")).status_code == 204


async def test_null_in_place_of_the_optional_body_of_a_join_is_no_body(api: Api) -> None:
    await add_players(api, "ada")
    session = await create_session(api)
    response = await api.put(
        f"{path_of(session)}/players/ada",
        content=b"null",
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 201
    assert response.json()["members"][0]["team"] is None
