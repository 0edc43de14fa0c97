"""/api/v1/sessions over HTTP."""

import asyncio
import json
from typing import Any

import httpx2
import pytest

Api = httpx2.AsyncClient
PATH = "/api/v1/sessions"


async def add_players(api: Api, *player_ids: str) -> None:
    for player_id in player_ids:
        body = {"username": f"user-{player_id}", "player_id": player_id}
        assert (await api.post("/api/v1/players", json=body)).status_code == 201


async def create(api: Api, **fields: Any) -> dict[str, Any]:
    body = {"name": "Friday duel", "game_mode": "duel", "max_players": 4} | fields
    response = await api.post(PATH, json=body)
    assert response.status_code == 201, response.text
    session: dict[str, Any] = response.json()
    return session


async def put(api: Api, session: dict[str, Any], **changes: Any) -> httpx2.Response:
    return await api.put(f"{PATH}/{session['session_id']}", json=changes)


async def join(api: Api, session: dict[str, Any], player_id: str) -> httpx2.Response:
    return await api.put(f"{PATH}/{session['session_id']}/players/{player_id}")


async def leave(api: Api, session: dict[str, Any], player_id: str) -> httpx2.Response:
    return await api.delete(f"{PATH}/{session['session_id']}/players/{player_id}")


def refusal(response: httpx2.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["code"]


async def test_a_session_is_created_with_defaults(api: Api) -> None:
    body = {"name": "Friday duel", "game_mode": "duel", "max_players": 2}
    response = await api.post(PATH, json=body)
    session = response.json()
    assert response.headers["location"] == f"{PATH}/{session['session_id']}"
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
    session = await create(api, host_player_id="ada")
    assert (session["host_player_id"], session["player_count"], session["version"]) == ("ada", 1, 1)
    assert [m["player_id"] for m in session["members"]] == ["ada"]
    assert (await api.get("/api/v1/players/ada/session")).json() == session


async def test_a_host_must_exist_and_be_free(api: Api) -> None:
    body = {"name": "s", "game_mode": "duel", "max_players": 2, "host_player_id": "ada"}
    assert refusal(await api.post(PATH, json=body)) == (404, "player_not_found")
    await add_players(api, "ada")
    first = await create(api, host_player_id="ada")
    response = await api.post(PATH, json=body)
    assert refusal(response) == (409, "already_in_session")
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
async def test_a_bad_session_is_422_and_nothing_is_created(
    api: Api, change: dict[str, Any]
) -> None:
    body = {"name": "s", "game_mode": "duel", "max_players": 4} | change
    headers = {"Content-Type": "application/json"}
    response = await api.post(PATH, content=json.dumps(body), headers=headers)
    assert refusal(response) == (422, "validation_error")
    assert (await api.get(PATH)).json()["items"] == []


async def test_players_join_leave_and_join_again(api: Api) -> None:
    await add_players(api, "ada", "bob")
    session = await create(api)
    path = f"{PATH}/{session['session_id']}/players"
    first = await api.put(f"{path}/ada", json={"team": "red"})
    assert (first.status_code, first.headers["etag"]) == (201, '"2"')
    assert first.json()["members"][0]["team"] == "red"
    again = await api.put(f"{path}/ada")
    assert (again.status_code, again.json()) == (200, first.json())
    assert (await join(api, session, "bob")).status_code == 201
    assert (await leave(api, session, "ada")).status_code == 204
    assert (await leave(api, session, "ada")).status_code == 204
    now = (await api.get(f"{PATH}/{session['session_id']}")).json()
    assert (now["host_player_id"], now["player_count"], now["version"]) == ("bob", 1, 4)
    assert (await join(api, session, "ada")).status_code == 201
    assert (await api.get("/api/v1/players/ada")).json()["version"] == 1


@pytest.mark.parametrize(
    "body", [{"team": ""}, {"team": "x" * 33}, {"team": None}, {"team": 1}, {"role": "x"}, [], "x"]
)
async def test_a_bad_join_is_422(api: Api, body: Any) -> None:
    await add_players(api, "ada")
    session = await create(api)
    response = await api.put(f"{PATH}/{session['session_id']}/players/ada", json=body)
    assert refusal(response) == (422, "validation_error")
    assert (await api.get(f"{PATH}/{session['session_id']}")).json() == session


async def test_joins_are_refused_for_a_reason(api: Api) -> None:
    await add_players(api, "ada", "bob", "eve")
    duel = await create(api, max_players=1)
    assert refusal(await join(api, {"session_id": "nope"}, "ada")) == (404, "session_not_found")
    assert refusal(await join(api, duel, "nobody")) == (404, "player_not_found")
    await join(api, duel, "ada")
    assert refusal(await join(api, duel, "bob")) == (409, "session_full")

    other = await create(api)
    response = await join(api, other, "ada")
    assert refusal(response) == (409, "already_in_session")
    assert response.json()["session_id"] == duel["session_id"]

    await join(api, other, "bob")
    await put(api, other, status="starting")
    response = await join(api, other, "eve")
    assert refusal(response) == (409, "session_not_joinable")
    assert response.json()["session_status"] == "starting"
    await put(api, other, status="active")
    assert refusal(await join(api, other, "eve")) == (409, "session_not_joinable")
    await put(api, other, join_in_progress=True)
    assert (await join(api, other, "eve")).status_code == 201
    await put(api, other, status="ended")
    assert refusal(await join(api, other, "eve")) == (409, "session_not_joinable")


async def test_the_end_of_a_session_frees_its_players(api: Api) -> None:
    await add_players(api, "ada", "bob")
    first = await create(api, host_player_id="ada")
    await join(api, first, "bob")
    await put(api, first, status="cancelled")
    assert refusal(await api.get("/api/v1/players/ada/session")) == (404, "not_in_session")
    second = await create(api, host_player_id="ada")
    assert (await join(api, second, "bob")).status_code == 201
    over = (await api.get(f"{PATH}/{first['session_id']}")).json()
    assert [m["player_id"] for m in over["members"]] == ["ada", "bob"]
    assert (await leave(api, first, "ada")).status_code == 204
    assert (await api.get(f"{PATH}/{first['session_id']}")).json() == over


async def test_a_seated_player_can_not_be_deleted(api: Api) -> None:
    await add_players(api, "ada")
    session = await create(api, host_player_id="ada")
    response = await api.delete("/api/v1/players/ada")
    assert refusal(response) == (409, "in_session")
    assert response.json()["session_id"] == session["session_id"]
    await leave(api, session, "ada")
    assert (await api.delete("/api/v1/players/ada")).status_code == 204


async def test_a_match_from_lobby_to_end(api: Api) -> None:
    await add_players(api, "ada", "bob")
    session = await create(api, max_players=2, min_players=2, host_player_id="ada")
    response = await put(api, session, status="starting")
    assert refusal(response) == (409, "not_enough_players")
    assert (response.json()["player_count"], response.json()["min_players"]) == (1, 2)
    await join(api, session, "bob")
    response = await put(api, session, status="active")
    assert refusal(response) == (409, "illegal_transition")
    problem = response.json()
    assert (problem["from"], problem["to"]) == ("waiting", "active")
    assert problem["allowed"] == ["starting", "cancelled"]
    assert (await put(api, session, status="starting")).json()["status"] == "starting"
    server = {"address": "198.51.100.7", "port": 7777}
    started = (await put(api, session, status="active", server=server)).json()
    assert started["started_at"] and started["server"] == server
    assert refusal(await put(api, session, status="expired")) == (409, "illegal_transition")
    ended = (await put(api, session, status="ended")).json()
    assert ended["ended_at"] and ended["version"] == 5
    assert (await put(api, session, status="ended")).json() == ended
    assert refusal(await put(api, session, name="x")) == (409, "session_over")
    assert refusal(await put(api, session, status="active")) == (409, "session_over")


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
async def test_a_bad_put_is_422_and_changes_nothing(api: Api, changes: Any) -> None:
    session = await create(api)
    response = await api.put(f"{PATH}/{session['session_id']}", json=changes)
    assert refusal(response) == (422, "validation_error")
    assert (await api.get(f"{PATH}/{session['session_id']}")).json() == session


async def test_a_body_that_contradicts_itself_is_422_before_anything_else(api: Api) -> None:
    body = {"min_players": 3, "max_players": 2}
    response = await api.put(f"{PATH}/nope", json=body, headers={"If-Match": '"7"'})
    assert refusal(response) == (422, "validation_error")


async def test_settings_are_checked_against_the_members(api: Api) -> None:
    await add_players(api, "ada", "bob", "eve")
    session = await create(api, host_player_id="ada")
    await join(api, session, "bob")
    assert refusal(await put(api, session, max_players=1)) == (409, "too_many_members")
    assert refusal(await put(api, session, host_player_id="eve")) == (409, "not_a_member")
    assert (await put(api, session, host_player_id="bob")).json()["host_player_id"] == "bob"


async def test_members_change_what_they_say_of_themselves(api: Api) -> None:
    await add_players(api, "ada")
    session = await create(api, host_player_id="ada")
    path = f"{PATH}/{session['session_id']}/players"
    response = await api.patch(f"{path}/ada", json={"ready": True, "team": "red"})
    assert (response.status_code, response.headers["etag"]) == (200, '"2"')
    member = response.json()["members"][0]
    assert (member["ready"], member["team"]) == (True, "red")
    assert (await api.patch(f"{path}/ada", json={"ready": True})).json()["version"] == 2
    assert (await api.patch(f"{path}/ada", json={})).json()["version"] == 2
    assert refusal(await api.patch(f"{path}/bob", json={})) == (404, "not_a_member")
    bad: list[Any] = [{"ready": None}, {"ready": 1}, {"team": None}, {"team": ""}, {"x": 1}, []]
    for body in bad:
        assert refusal(await api.patch(f"{path}/ada", json=body)) == (422, "validation_error")
    await put(api, session, status="cancelled")
    response = await api.patch(f"{path}/ada", json={"ready": False})
    assert refusal(response) == (409, "session_over")
    response = await api.patch(f"{PATH}/nope/players/ada", json={})
    assert refusal(response) == (404, "session_not_found")


async def test_a_party_joins_as_one_version(api: Api) -> None:
    await add_players(api, "ada", "bob", "cleo", "dan", "eve")
    session = await create(api, host_player_id="ada")
    path = f"{PATH}/{session['session_id']}/players"
    response = await api.post(path, json={"player_ids": ["bob", "ada", "cleo"]})
    assert (response.status_code, response.json()["version"]) == (200, 2)
    assert [m["player_id"] for m in response.json()["members"]] == ["ada", "bob", "cleo"]
    response = await api.post(path, json={"player_ids": ["dan", "eve"]})
    assert refusal(response) == (409, "session_full")
    response = await api.post(path, json={"player_ids": ["nobody"]})
    assert refusal(response) == (404, "player_not_found")
    assert response.json()["player_id"] == "nobody"
    other = await create(api)
    other_path = f"{PATH}/{other['session_id']}/players"
    response = await api.post(other_path, json={"player_ids": ["dan", "bob"]})
    assert refusal(response) == (409, "already_in_session")
    assert response.json()["session_id"] == session["session_id"]
    assert refusal(await api.get("/api/v1/players/dan/session")) == (404, "not_in_session")
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
async def test_a_bad_party_is_422(api: Api, body: Any) -> None:
    session = await create(api)
    response = await api.post(f"{PATH}/{session['session_id']}/players", json=body)
    assert refusal(response) == (422, "validation_error")


async def test_an_unknown_session_is_404(api: Api) -> None:
    await add_players(api, "ada")
    assert refusal(await api.get(f"{PATH}/nope")) == (404, "session_not_found")
    assert refusal(await api.put(f"{PATH}/nope", json={})) == (404, "session_not_found")
    assert refusal(await api.delete(f"{PATH}/nope/players/ada")) == (404, "session_not_found")
    response = await api.post(f"{PATH}/nope/players", json={"player_ids": ["ada"]})
    assert refusal(response) == (404, "session_not_found")


async def test_conditions_are_checked_with_the_rule(api: Api) -> None:
    await add_players(api, "ada", "bob")
    session = await create(api)
    path = f"{PATH}/{session['session_id']}"
    stale = {"If-Match": '"2"'}
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("PUT", path, {"json": {"name": "x"}}),
        ("PUT", f"{path}/players/ada", {}),
        ("PATCH", f"{path}/players/ada", {"json": {"ready": True}}),
        ("DELETE", f"{path}/players/ada", {}),
    ]
    for method, target, body in requests:
        response = await api.request(method, target, headers=stale, **body)
        assert refusal(response) == (412, "version_mismatch")
        assert response.json()["current_version"] == 1
    answers = await asyncio.gather(
        *(api.put(path, json={"name": f"name {n}"}, headers={"If-Match": '"1"'}) for n in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9
    assert (await api.get(path, headers={"If-None-Match": '"2"'})).status_code == 304


async def listed(api: Api, query: str) -> list[str]:
    response = await api.get(f"{PATH}?{query}")
    assert response.status_code == 200, response.text
    return [session["name"] for session in response.json()["items"]]


async def test_sessions_are_listed_newest_first_and_filtered(api: Api) -> None:
    await add_players(api, "ada")
    await create(api, name="a", region="eu", attributes={"level": 5, "vip": True})
    await create(api, name="b", game_mode="race", attributes={"level": "5", "vip": "true"})
    await create(api, name="c", max_players=2, attributes={"level": 5.5, "note": "x=y&z"})
    await create(api, name="d", visibility="private")
    host = await create(api, name="e", host_player_id="ada", max_players=2)
    await put(api, host, status="starting")
    assert await listed(api, "") == ["e", "c", "b", "a"]
    assert await listed(api, "status=waiting") == ["c", "b", "a"]
    assert await listed(api, "status=waiting&status=starting") == ["e", "c", "b", "a"]
    assert await listed(api, "game_mode=race") == ["b"]
    assert await listed(api, "region=eu") == ["a"]
    assert await listed(api, "min_free_slots=2") == ["c", "b", "a"]
    assert await listed(api, "host_player_id=ada") == ["e"]
    assert await listed(api, "attr.level=5") == ["b", "a"]
    assert await listed(api, "attr.level=5.0") == ["a"]
    assert await listed(api, "attr.level=5.5") == ["c"]
    assert await listed(api, "attr.vip=true") == ["b", "a"]
    assert await listed(api, "attr.note=x%3Dy%26z") == ["c"]
    assert await listed(api, "attr.level=5&attr.vip=true&region=eu") == ["a"]
    assert await listed(api, f"attr.level={'9' * 400}") == []
    assert await listed(api, "attr.level=1e999") == []
    assert await listed(api, "attr.level=NaN") == []


@pytest.mark.parametrize(
    "query",
    [
        "status=over",
        "status=",
        "game_mode=DUEL",
        "game_mode=a&game_mode=b",
        "region=EU",
        "min_free_slots=-1",
        "min_free_slots=x",
        "min_free_slots=257",
        "host_player_id=a.b",
        "attr.=1",
        "attr.a.b=1",
        "attr.a%0A=1",
        "attr.$where=1",
        "attr.a=1&attr.a=2",
        "attr.a=" + "x" * 2049,
        "&".join(f"attr.k{n}=1" for n in range(21)),
        "attributes=1",
        "members=ada",
        "limit=0",
        "cursor=x",
    ],
)
async def test_a_bad_filter_is_422(api: Api, query: str) -> None:
    assert refusal(await api.get(f"{PATH}?{query}")) == (422, "validation_error")


async def test_pages_show_everything_that_was_there_throughout_once(api: Api) -> None:
    names = [f"s{n}" for n in range(13)]
    made = {name: await create(api, name=name) for name in names}
    seen: list[str] = []
    cursor, number = None, 0
    while True:
        query = "limit=4" + (f"&cursor={cursor}" if cursor else "")
        page = (await api.get(f"{PATH}?{query}")).json()
        seen += [session["name"] for session in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        # What is changed, added or hidden on the way does not move the rest.
        await create(api, name=f"new{number}")
        await put(api, made[f"s{number}"], visibility="private")
        await put(api, made["s6"], name="s6", attributes={"n": number})
        number += 1
    assert number == 2
    assert seen == [name for name in reversed(names) if name not in ("s0", "s1")]
