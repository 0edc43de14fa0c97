"""The store of players: concurrent changes, and the reuse of a deleted player's id."""

import asyncio
from typing import Any

import pytest
from pymongo.errors import DuplicateKeyError

from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.http.preconditions import Precondition
from game_api.players.errors import UsernameTaken
from game_api.players.store import PlayerStore
from game_api.seats.claims import Claims
from tests.build import LATER, a_player
from tests.database.collections import Collections

ANY_VERSION = Precondition().check


async def test_concurrent_changes_are_all_kept(players: PlayerStore) -> None:
    await players.create(a_player("ada"))
    changes: list[Any] = [
        {"rating": 5},
        {"region": "eu"},
        {"display_name": "A"},
        {"username": "x1"},
    ]

    async def change(fields: Any) -> None:
        await players.change("ada", lambda player: player.change(fields, LATER))

    await asyncio.gather(*map(change, changes))
    player = await players.get("ada")
    assert (player.rating, player.region, player.display_name) == (5, "eu", "A")
    assert (player.username, player.username_key, player.version) == ("x1", "x1", 5)


async def test_a_username_is_taken_once_by_concurrent_creations(players: PlayerStore) -> None:
    new = [a_player(f"p{n}", username="Ada", username_key="ada") for n in range(10)]
    answers = await asyncio.gather(*map(players.create, new), return_exceptions=True)
    assert sum(answer is None for answer in answers) == 1
    assert {type(answer) for answer in answers if answer} == {UsernameTaken}


@pytest.mark.parametrize("operation", ["change", "delete"])
async def test_a_late_write_does_not_affect_a_new_player_with_the_same_id(
    database: Database,
    connection: Connection,
    claims: Claims,
    players: PlayerStore,
    operation: str,
) -> None:
    """The player is deleted and created again between the load and the write of another process."""
    await players.create(a_player("ada"))
    replaced = False

    async def replace_before(collection: Any, method: str, *arguments: Any) -> Any:
        nonlocal replaced
        if not replaced:
            replaced = True
            await players.delete("ada", ANY_VERSION)
            await players.create(a_player("ada", display_name="another"))
            result = await getattr(collection, method)(*arguments)
            assert await database.players.count_documents({"display_name": "another"}) == 1
            return result
        return await getattr(collection, method)(*arguments)

    async def update_one(collection: Any, *arguments: Any) -> Any:
        return await replace_before(collection, "update_one", *arguments)

    async def delete_one(collection: Any, *arguments: Any) -> Any:
        return await replace_before(collection, "delete_one", *arguments)

    methods = {"update_one": update_one, "delete_one": delete_one}
    slow = PlayerStore(Collections(connection, players=methods), claims)
    if operation == "change":
        player, _ = await slow.change("ada", lambda player: player.change({"rating": 5}, LATER))
        # The rule was applied again, to the other player.
        assert (player.display_name, player.rating, player.version) == ("another", 5, 2)
    else:
        await slow.delete("ada", ANY_VERSION)
    assert replaced


@pytest.mark.parametrize("taken", [{"id": "ada"}, {"username_key": "ada"}])
async def test_a_creation_is_not_refused_because_of_a_deleted_player(
    connection: Connection, claims: Claims, players: PlayerStore, taken: dict[str, str]
) -> None:
    """The insertion fails, and the other player is deleted before the reason is looked up."""
    other = a_player("other", **taken)
    await players.create(other)

    async def insert_one(collection: Any, document: Any) -> Any:
        try:
            return await collection.insert_one(document)
        except DuplicateKeyError:
            await players.delete(other.id, ANY_VERSION)
            raise

    store = PlayerStore(Collections(connection, players={"insert_one": insert_one}), claims)
    await store.create(a_player("ada"))
    assert (await players.get("ada")).username == "ada"
