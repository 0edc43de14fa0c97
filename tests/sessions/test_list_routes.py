"""The list of sessions: its order, its filters and its pages."""

import pytest

from tests.sessions.requests import PATH, Api, add_players, create_session, error, path_of, update


async def names_listed(api: Api, query: str) -> list[str]:
    """The names of the sessions on the first page."""
    response = await api.get(f"{PATH}?{query}")
    assert response.status_code == 200, response.text
    return [session["name"] for session in response.json()["items"]]


async def test_sessions_are_listed_newest_first_and_filtered(api: Api) -> None:
    await add_players(api, "ada")
    await create_session(api, name="a", region="eu", attributes={"level": 5, "vip": True})
    await create_session(api, name="b", game_mode="race", attributes={"level": "5", "vip": "true"})
    await create_session(api, name="c", max_players=2, attributes={"level": 5.5, "note": "x=y&z"})
    await create_session(api, name="d", visibility="private")
    host = await create_session(api, name="e", host_player_id="ada", max_players=2)
    await update(api, host, status="starting")
    assert await names_listed(api, "") == ["e", "c", "b", "a"]
    assert await names_listed(api, "status=waiting") == ["c", "b", "a"]
    assert await names_listed(api, "status=waiting&status=starting") == ["e", "c", "b", "a"]
    assert await names_listed(api, "game_mode=race") == ["b"]
    assert await names_listed(api, "region=eu") == ["a"]
    assert await names_listed(api, "min_free_slots=2") == ["c", "b", "a"]
    assert await names_listed(api, "host_player_id=ada") == ["e"]
    assert await names_listed(api, "attribute=level:5") == ["b", "a"]
    assert await names_listed(api, "attribute=level:5.0") == ["a"]
    assert await names_listed(api, "attribute=level:5.5") == ["c"]
    assert await names_listed(api, "attribute=vip:true") == ["b", "a"]
    assert await names_listed(api, "attribute=note:x%3Dy%26z") == ["c"]
    assert await names_listed(api, "attribute=level:5&attribute=vip:true&region=eu") == ["a"]
    assert await names_listed(api, f"attribute=level:{'9' * 400}") == []
    assert await names_listed(api, "attribute=level:1e999") == []
    assert await names_listed(api, "attribute=level:NaN") == []


async def test_without_a_status_the_live_sessions_are_listed(api: Api) -> None:
    await add_players(api, "ada", "bob")
    await create_session(api, name="waiting")
    starting = await create_session(api, name="starting", host_player_id="ada")
    await update(api, starting, status="starting")
    active = await create_session(api, name="active", host_player_id="bob")
    for status in ("starting", "active"):
        await update(api, active, status=status)
    cancelled = await create_session(api, name="cancelled")
    await update(api, cancelled, status="cancelled")
    assert await names_listed(api, "") == ["active", "starting", "waiting"]
    assert await names_listed(api, "status=cancelled") == ["cancelled"]
    first = (await api.get(f"{PATH}?limit=1")).json()["next_cursor"]
    everything = "status=waiting&status=starting&status=active"
    assert await names_listed(api, f"limit=1&cursor={first}&{everything}") == ["starting"]


async def test_joinable_sessions_have_a_free_seat_for_a_new_player(api: Api) -> None:
    """Exactly those are listed that a new player then can join."""
    expected = []
    for status in ("waiting", "starting", "active", "cancelled"):
        for in_progress in (False, True):
            for full in (False, True):
                name = f"{status}-{in_progress}-{full}"
                await add_players(api, name)
                session = await create_session(
                    api,
                    name=name,
                    host_player_id=name,
                    max_players=1 if full else 2,
                    join_in_progress=in_progress,
                )
                path = ("starting", "active") if status == "active" else (status,)
                for step in path:
                    assert (await update(api, session, status=step)).status_code == 200
                expected.append((name, session))
    listed = await names_listed(api, "joinable=true&limit=100")
    assert await names_listed(api, "joinable=true&status=active") == ["active-True-False"]
    assert await names_listed(api, "joinable=true&min_free_slots=2") == []
    assert len(await names_listed(api, "joinable=false&limit=100")) == 12
    assert listed == ["active-True-False", "waiting-True-False", "waiting-False-False"]
    await add_players(api, "newcomer")
    for name, session in expected:
        response = await api.put(f"{path_of(session)}/players/newcomer")
        assert (response.status_code == 201) == (name in listed), name
        if name in listed:
            await api.delete(f"{path_of(session)}/players/newcomer")


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
        "attribute=:1",
        "attribute=a.b:1",
        "attribute=a%0A:1",
        "attribute=$where:1",
        "attribute=a:1&attribute=a:2",
        "attribute=a",
        "attribute=",
        "attribute=a:" + "x" * 2112,
        "&".join(f"attribute=k{n}:1" for n in range(21)),
        "attributes=1",
        "members=ada",
        "limit=0",
        "limit=1_0",
        "limit=%2B10",
        "limit=1.0",
        "min_free_slots=1_0",
        "joinable=yes",
        "joinable=1",
        "joinable=true&joinable=true",
        "cursor=x",
    ],
)
async def test_an_invalid_filter_is_422(api: Api, query: str) -> None:
    assert error(await api.get(f"{PATH}?{query}")) == (422, "validation_error")


async def test_pages_show_each_session_that_stays_listed_exactly_once(api: Api) -> None:
    names = [f"s{n}" for n in range(13)]
    sessions = {name: await create_session(api, name=name) for name in names}
    seen: list[str] = []
    cursor, number = None, 0
    while True:
        query = "limit=4" + (f"&cursor={cursor}" if cursor else "")
        page = (await api.get(f"{PATH}?{query}")).json()
        seen += [session["name"] for session in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        # Sessions that are added, changed or hidden between two pages do not affect the others.
        await create_session(api, name=f"new{number}")
        await update(api, sessions[f"s{number}"], visibility="private")
        await update(api, sessions["s6"], name="s6", attributes={"n": number})
        number += 1
    assert number == 2
    assert seen == [name for name in reversed(names) if name not in ("s0", "s1")]
