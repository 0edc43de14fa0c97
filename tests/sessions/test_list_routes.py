"""The list of sessions: its order, its filters and its pages."""

import pytest

from tests.sessions.requests import PATH, Api, add_players, create_session, error, update


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
    assert await names_listed(api, "attr.level=5") == ["b", "a"]
    assert await names_listed(api, "attr.level=5.0") == ["a"]
    assert await names_listed(api, "attr.level=5.5") == ["c"]
    assert await names_listed(api, "attr.vip=true") == ["b", "a"]
    assert await names_listed(api, "attr.note=x%3Dy%26z") == ["c"]
    assert await names_listed(api, "attr.level=5&attr.vip=true&region=eu") == ["a"]
    assert await names_listed(api, f"attr.level={'9' * 400}") == []
    assert await names_listed(api, "attr.level=1e999") == []
    assert await names_listed(api, "attr.level=NaN") == []


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
