"""Sessions, on a real service."""

import pytest

from game_api_client import (
    AsyncGameApi,
    Attributes,
    Conflict,
    NotFound,
    Session,
    SessionFull,
    SessionNotJoinable,
    VersionMismatch,
)


async def new_player(api: AsyncGameApi, username: str) -> str:
    return (await api.create_player(username=username))["player_id"]


async def new_session(api: AsyncGameApi, mode: str, max_players: int = 2) -> Session:
    return await api.create_session(name="duel", game_mode=mode, max_players=max_players)


async def test_a_lobby_becomes_a_match(api: AsyncGameApi, word: str) -> None:
    ada, bob = [await new_player(api, f"{word}-{name}") for name in ("ada", "bob")]
    session = await api.create_session(
        name="duel", game_mode=word, max_players=2, min_players=2, host_player_id=ada
    )
    session_id = session["session_id"]
    session = await api.join_session(session_id, bob, team="red")
    assert [(m["player_id"], m["team"]) for m in session["members"]] == [(ada, None), (bob, "red")]
    session = await api.update_member(session_id, bob, ready=True)
    assert session["members"][1]["ready"] and session["members"][1]["team"] == "red"
    await api.update_session(session_id, status="starting")
    session = await api.update_session(
        session_id, status="active", server={"address": "192.0.2.1", "port": 7777}
    )
    assert session["started_at"] and session["server"] == {"address": "192.0.2.1", "port": 7777}
    session = await api.update_session(session_id, server=None)
    assert (session["server"], session["status"]) == (None, "active")
    await api.leave_session(session_id, bob)
    await api.leave_session(session_id, bob)
    assert (await api.get_session(session_id))["player_count"] == 1
    assert (await api.update_session(session_id, status="ended"))["ended_at"]


async def test_a_party_joins_as_a_whole_or_not_at_all(api: AsyncGameApi, word: str) -> None:
    party = [await new_player(api, f"{word}-{n}") for n in range(3)]
    small, large = await new_session(api, word, 2), await new_session(api, word, 3)
    with pytest.raises(SessionFull):
        await api.join_session_as_party(small["session_id"], player_ids=party)
    joined = await api.join_session_as_party(large["session_id"], player_ids=party)
    assert [member["player_id"] for member in joined["members"]] == party
    assert (await api.get_session(small["session_id"]))["player_count"] == 0


async def test_an_ended_session_is_not_joinable(api: AsyncGameApi, word: str) -> None:
    session_id = (await new_session(api, word))["session_id"]
    await api.update_session(session_id, status="cancelled")
    with pytest.raises(SessionNotJoinable) as caught:
        await api.join_session(session_id, await new_player(api, word))
    assert caught.value.session_status == "cancelled"
    with pytest.raises(Conflict) as refused:
        await api.update_session(session_id, name="again")
    assert refused.value.code == "session_over"


async def test_changes_and_reads_can_name_a_version(api: AsyncGameApi, word: str) -> None:
    session_id = (await new_session(api, word))["session_id"]
    player_id, late = [await new_player(api, f"{word}-{n}") for n in range(2)]
    assert await api.get_session(session_id, if_none_match=1) is None
    assert (await api.join_session(session_id, player_id, if_match=1))["version"] == 2
    for change in (
        api.update_session(session_id, if_match=1, name="late"),
        api.update_member(session_id, player_id, if_match=1, ready=True),
        api.join_session(session_id, late, if_match=1),
        api.leave_session(session_id, player_id, if_match=1),
    ):
        with pytest.raises(VersionMismatch) as caught:
            await change
        assert caught.value.current_version == 2


async def test_a_missing_session_is_not_found(api: AsyncGameApi) -> None:
    with pytest.raises(NotFound) as caught:
        await api.get_session("nowhere")
    assert caught.value.code == "session_not_found"


async def test_sessions_walks_all_pages_newest_first(api: AsyncGameApi, word: str) -> None:
    created = [(await new_session(api, word))["session_id"] for _ in range(3)]
    walked = [session["session_id"] async for session in api.sessions(game_mode=word, limit=2)]
    assert walked == created[::-1]
    page = await api.list_sessions(game_mode=word, limit=2)
    rest = await api.list_sessions(game_mode=word, limit=2, cursor=page["next_cursor"])
    assert [len(page["items"]), len(rest["items"])] == [2, 1] and rest["next_cursor"] is None


async def test_sessions_are_filtered(api: AsyncGameApi, word: str) -> None:
    player_id = await new_player(api, word)
    hosted = await api.create_session(
        name="full", game_mode=word, max_players=1, host_player_id=player_id, region="eu-west-1"
    )
    over = await new_session(api, word)
    over = await api.update_session(over["session_id"], status="cancelled")
    attributes: Attributes = {"ranked": True, "level": 5, "map": "harbour: north & south"}
    open_ = await api.create_session(
        name="open", game_mode=word, max_players=4, attributes=attributes
    )
    assert [s async for s in api.sessions(game_mode=word)] == [open_, hosted]
    assert [s async for s in api.sessions(game_mode=word, status=["cancelled"])] == [over]
    either = api.sessions(game_mode=word, status=["cancelled", "waiting"])
    assert [s async for s in either] == [open_, over, hosted]
    assert [s async for s in api.sessions(host_player_id=player_id)] == [hosted]
    assert [s async for s in api.sessions(game_mode=word, region="eu-west-1")] == [hosted]
    assert [s async for s in api.sessions(game_mode=word, min_free_slots=2)] == [open_]
    assert [s async for s in api.sessions(game_mode=word, joinable=True)] == [open_]
    assert [s async for s in api.sessions(game_mode=word, attributes=attributes)] == [open_]
    assert [s async for s in api.sessions(game_mode=word, attributes={"ranked": False})] == []
