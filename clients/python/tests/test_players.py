"""Players, on a real service."""

import pytest

from game_api_client import (
    AlreadyInSession,
    AsyncGameApi,
    Conflict,
    NotFound,
    UsernameTaken,
    ValidationError,
    VersionMismatch,
)


async def test_a_created_player_can_be_read(api: AsyncGameApi, word: str) -> None:
    player = await api.create_player(username=word, rating=1200, attributes={"ranked": True})
    assert (player["username"], player["rating"], player["version"]) == (word, 1200, 1)
    assert player["attributes"] == {"ranked": True}
    assert await api.get_player(player["player_id"]) == player


async def test_none_clears_a_field_and_an_absent_field_stays(api: AsyncGameApi, word: str) -> None:
    player = await api.create_player(username=word, region="eu-central-1", display_name="Ada L.")
    changed = await api.update_player(player["player_id"], rating=5)
    assert (changed["region"], changed["rating"]) == ("eu-central-1", 5)
    changed = await api.update_player(player["player_id"], region=None)
    assert (changed["region"], changed["rating"]) == (None, 5)
    assert changed["display_name"] == "Ada L."
    assert await api.update_player(player["player_id"]) == changed


async def test_a_read_with_the_current_version_returns_none(api: AsyncGameApi, word: str) -> None:
    player = await api.create_player(username=word)
    assert await api.get_player(player["player_id"], if_none_match=1) is None
    changed = await api.update_player(player["player_id"], rating=5)
    assert await api.get_player(player["player_id"], if_none_match=1) == changed


async def test_a_change_of_an_old_version_is_refused(api: AsyncGameApi, word: str) -> None:
    player = await api.create_player(username=word)
    player = await api.update_player(player["player_id"], if_match=1, rating=5)
    with pytest.raises(VersionMismatch) as caught:
        await api.update_player(player["player_id"], if_match=1, rating=6)
    assert (caught.value.status, caught.value.current_version) == (412, 2)
    with pytest.raises(VersionMismatch):
        await api.delete_player(player["player_id"], if_match=1)
    assert (await api.get_player(player["player_id"]))["rating"] == 5
    await api.delete_player(player["player_id"], if_match=2)


async def test_a_deleted_player_is_not_found(api: AsyncGameApi, word: str) -> None:
    player = await api.create_player(username=word)
    await api.delete_player(player["player_id"])
    with pytest.raises(NotFound) as caught:
        await api.get_player(player["player_id"])
    error = caught.value
    assert (error.status, error.code) == (404, "player_not_found")
    assert error.detail and error.problem["status"] == 404
    assert error.request_id == error.problem["request_id"]


async def test_a_username_can_be_taken_once(api: AsyncGameApi, word: str) -> None:
    player = await api.create_player(username=word)
    with pytest.raises(UsernameTaken):
        await api.create_player(username=word.upper())
    with pytest.raises(Conflict) as caught:
        await api.create_player(username=f"{word}-2", player_id=player["player_id"])
    assert caught.value.code == "player_exists"


async def test_a_validation_error_names_the_field(api: AsyncGameApi) -> None:
    with pytest.raises(ValidationError) as caught:
        await api.create_player(username="x")
    assert caught.value.errors[0]["loc"] == ["body", "username"]


async def test_a_player_is_found_by_username(api: AsyncGameApi, word: str) -> None:
    player = await api.create_player(username=word)
    assert [found async for found in api.players(username=word.upper())] == [player]
    assert (await api.list_players(username=f"{word}x"))["items"] == []


async def test_players_walks_the_pages(api: AsyncGameApi, word: str) -> None:
    ids = [f"-{word}-{n}" for n in range(3)]  # A hyphen sorts before letters and digits.
    for player_id in ids:
        await api.create_player(username=player_id[1:], player_id=player_id)
    walked = []
    async for player in api.players(limit=1):
        walked.append(player["player_id"])
        if player["player_id"] == ids[-1]:
            break
    assert [player_id for player_id in walked if player_id in ids] == ids
    assert len(walked) == len(set(walked))


async def test_the_session_of_a_player_is_found(api: AsyncGameApi, word: str) -> None:
    player_id = (await api.create_player(username=word))["player_id"]
    with pytest.raises(NotFound) as caught:
        await api.get_player_session(player_id)
    assert caught.value.code == "not_in_session"
    session = await api.create_session(
        name="duel", game_mode=word, max_players=2, host_player_id=player_id
    )
    assert await api.get_player_session(player_id) == session
    other = await api.create_session(name="duel", game_mode=word, max_players=2)
    with pytest.raises(AlreadyInSession) as refused:
        await api.join_session(other["session_id"], player_id)
    assert refused.value.session_id == session["session_id"]


async def test_the_service_is_healthy(api: AsyncGameApi) -> None:
    assert (await api.health())["version"]
