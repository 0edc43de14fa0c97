"""Answers that get lost on the way: a write is made once, told as it was, or not told at all."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from game_api.database import Database
from game_api.errors import DatabaseUnavailable, PlayerExists, SessionFull
from game_api.metrics import Metrics
from game_api.players.store import PlayerStore
from game_api.preconditions import Precondition, Tags
from game_api.sessions.claims import Claims
from game_api.sessions.store import WRITES_KEPT, SessionStore
from tests.build import LATER, a_player, a_session
from tests.sessions.test_store import add_players, assert_consistent, joins


async def rename(store: SessionStore, name: str) -> None:
    await store.change("s", lambda s: s.change({"name": name}, LATER))


class Unplugged:
    """The edge of the system: a collection whose answers get lost after (or before) the write."""

    def __init__(self, collection: Any, method: str, before: bool, times: int = 1) -> None:
        self.collection, self.method, self.before, self.left = collection, method, before, times

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.collection, name)
        if name != self.method or not self.left:
            return real
        self.left -= 1

        async def unplugged(*arguments: Any, **options: Any) -> Any:
            if not self.before:
                await real(*arguments, **options)
            raise AutoReconnect("connection reset by peer")

        return unplugged


@pytest.mark.parametrize("before", [True, False])
async def test_a_lost_answer_is_found_again(
    database: Database, sessions: SessionStore, before: bool
) -> None:
    """Whether the write arrived or not: it is there once, and the answer is the same."""
    players = await add_players(database, 2)
    await sessions.create(a_session(max_players=1))
    setattr(sessions, "_sessions", Unplugged(database.sessions, "replace_one", before))
    first, second = await joins(sessions, "s", players)
    assert first[1] is True and first[0].version == 2
    assert isinstance(second, SessionFull)
    session = await sessions.get("s")
    assert (session.version, session.revision) == (2, 2)
    await assert_consistent(database)


class Overtaken(Unplugged):
    """Somebody else's work is done between the lost answer and the next look."""

    def __init__(self, collection: Any, method: str, work: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(collection, method, before=False)
        self.work: Callable[[], Awaitable[Any]] | None = work

    async def find_one(self, *arguments: Any, **options: Any) -> Any:
        if not self.left and self.work:
            work, self.work = self.work, None
            await work()
        return await self.collection.find_one(*arguments, **options)


async def test_a_lost_answer_is_found_behind_other_writes(
    database: Database, sessions: SessionStore
) -> None:
    """Another process writes between our write and our look: a repeat would be refused."""
    await database.players.insert_one(a_player("ada").model_dump_doc())
    await sessions.create(a_session("ada"))
    other = SessionStore(database, Claims(database), Metrics())

    async def play() -> None:
        await other.change("s", lambda s: s.change({"status": "active"}, LATER))
        await other.change("s", lambda s: s.change({"status": "ended"}, LATER))

    setattr(sessions, "_sessions", Overtaken(database.sessions, "replace_one", play))
    after, _ = await sessions.change("s", lambda s: s.change({"status": "starting"}, LATER))
    assert (after.status, after.version) == ("starting", 2)
    assert (await other.get("s")).status == "ended"


async def test_an_answer_lost_behind_too_many_writes_is_not_made_up(
    database: Database, sessions: SessionStore
) -> None:
    await sessions.create(a_session())
    other = SessionStore(database, Claims(database), Metrics())

    async def bury() -> None:
        for number in range(WRITES_KEPT + 1):
            await rename(other, f"name {number}")

    setattr(sessions, "_sessions", Overtaken(database.sessions, "replace_one", bury))
    with pytest.raises(DatabaseUnavailable):
        await rename(sessions, "mine")


@pytest.mark.parametrize("before", [True, False])
async def test_a_creation_whose_answer_was_lost_is_made_once(
    database: Database, sessions: SessionStore, players: PlayerStore, before: bool
) -> None:
    setattr(sessions, "_sessions", Unplugged(database.sessions, "insert_one", before))
    setattr(players, "_players", Unplugged(database.players, "insert_one", before))
    await players.create(a_player("ada"))
    session = await sessions.create(a_session("ada"))
    assert session.id == "s"
    assert await database.sessions.count_documents({}) == 1
    assert (await players.get("ada")).session_id == "s"


@pytest.mark.parametrize("before", [True, False])
async def test_a_player_change_whose_answer_was_lost_is_made_once(
    database: Database, players: PlayerStore, before: bool
) -> None:
    await players.create(a_player("ada"))
    setattr(players, "_players", Unplugged(database.players, "update_one", before))
    condition = Precondition(Tags.parse("If-Match", '"1"'))
    player = await players.update("ada", {"rating": 5}, condition, LATER)
    assert (player.rating, player.version) == (5, 2)
    setattr(players, "_players", Unplugged(database.players, "delete_one", before))
    await players.delete("ada", Precondition(None))
    assert await database.players.count_documents({}) == 0


async def test_a_player_change_lost_behind_another_is_not_made_up(
    database: Database, players: PlayerStore, claims: Claims
) -> None:
    """Neither told as refused, though it was made, nor made twice."""
    await players.create(a_player("ada"))
    other = PlayerStore(database, claims)
    nothing = Precondition(None)
    overtaken = Overtaken(
        database.players,
        "update_one",
        lambda: other.update("ada", {"display_name": "B"}, nothing, LATER),
    )
    setattr(players, "_players", overtaken)
    condition = Precondition(Tags.parse("If-Match", '"1"'))
    with pytest.raises(DatabaseUnavailable):
        await players.update("ada", {"rating": 7}, condition, LATER)
    player = await other.get("ada")
    assert (player.rating, player.display_name, player.version) == (7, "B", 3)


async def test_a_deletion_whose_answer_was_lost_spares_the_next_of_that_name(
    database: Database, players: PlayerStore, claims: Claims
) -> None:
    await players.create(a_player("ada"))
    other = PlayerStore(database, claims)
    overtaken = Overtaken(database.players, "delete_one", lambda: other.create(a_player("ada")))
    setattr(players, "_players", overtaken)
    await players.delete("ada", Precondition(None))
    assert (await other.get("ada")).version == 1


async def test_a_creation_is_not_taken_for_a_strangers_of_the_same_moment(
    database: Database, players: PlayerStore, claims: Claims
) -> None:
    stranger = PlayerStore(database, claims)

    class Late(Unplugged):
        async def insert_one(self, document: Any) -> Any:
            if self.left:
                self.left = 0
                await stranger.create(a_player("ada"))
                raise AutoReconnect("connection reset by peer")
            return await self.collection.insert_one(document)

    setattr(players, "_players", Late(database.players, "", before=True))
    with pytest.raises(PlayerExists):
        await players.create(a_player("ada"))
