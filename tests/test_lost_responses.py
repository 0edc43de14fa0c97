"""Lost responses: a write is made once, and reported as it was made or as unknown."""

from typing import Any

import pytest

from game_api.access.caller import SYSTEM
from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.errors import DatabaseUnavailable
from game_api.http.preconditions import Precondition, Tags, provided
from game_api.ids import new_id
from game_api.observability.metrics import Metrics
from game_api.players.errors import PlayerNotFound
from game_api.players.model import PlayerUpdate
from game_api.players.store import PlayerStore, Rule
from game_api.seats.claims import Claims
from game_api.sessions.errors import SessionFull
from game_api.sessions.rounds import WRITES_KEPT
from game_api.sessions.store import SessionStore
from tests.build import LATER, a_player, a_session
from tests.database.collections import Collections, LostResponse
from tests.sessions.checks import add_players, assert_consistent, joins, stored

ANY_VERSION = Precondition().check
FIRST_VERSION = Precondition(Tags.parse("If-Match", '"1"'))


def session_store(connection: Connection, claims: Claims, response: LostResponse) -> SessionStore:
    """A session store that loses a response."""
    return SessionStore(Collections(connection, sessions=response.methods), claims, Metrics())


def player_store(connection: Connection, claims: Claims, response: LostResponse) -> PlayerStore:
    """A player store that loses a response."""
    return PlayerStore(Collections(connection, players=response.methods), claims)


def changed(changes: PlayerUpdate) -> Rule[None]:
    return lambda player: player.change(changes, LATER)


async def rename(store: SessionStore, name: str) -> None:
    await store.change("s", lambda s: s.change({"name": name}, SYSTEM, LATER))


@pytest.mark.parametrize("before", [True, False])
async def test_a_session_change_whose_response_is_lost_is_made_once(
    database: Database,
    connection: Connection,
    claims: Claims,
    sessions: SessionStore,
    before: bool,
) -> None:
    """Whether or not the write arrived, it is made once, and the answer is the same."""
    players = await add_players(database, 2)
    await sessions.create(a_session(max_players=1))
    store = session_store(connection, claims, LostResponse("replace_one", before))
    first, second = await joins(store, "s", players)
    assert first[0].member(players[0]) and first[0].version == 2
    assert isinstance(second, SessionFull)
    session = await stored(sessions, "s")
    assert (session.version, session.revision) == (2, 2)
    await assert_consistent(database)


async def test_a_lost_response_is_found_behind_other_writes(
    database: Database, connection: Connection, claims: Claims, sessions: SessionStore
) -> None:
    """Another process writes before the change is looked up. Repeating it would be refused."""
    await database.players.insert_one(a_player("ada").model_dump_doc())
    await sessions.create(a_session("ada"))

    async def play() -> None:
        await sessions.change("s", lambda s: s.change({"status": "active"}, SYSTEM, LATER))
        await sessions.change("s", lambda s: s.change({"status": "ended"}, SYSTEM, LATER))

    store = session_store(connection, claims, LostResponse("replace_one", then=play))
    after, _ = await store.change("s", lambda s: s.change({"status": "starting"}, SYSTEM, LATER))
    assert (after.status, after.version) == ("starting", 2)
    assert (await stored(sessions, "s")).status == "ended"


async def test_a_response_that_is_lost_behind_too_many_writes_stays_unknown(
    connection: Connection, claims: Claims, sessions: SessionStore
) -> None:
    await sessions.create(a_session())

    async def write_often() -> None:
        for number in range(WRITES_KEPT + 1):
            await rename(sessions, f"name {number}")

    store = session_store(connection, claims, LostResponse("replace_one", then=write_often))
    with pytest.raises(DatabaseUnavailable):
        await rename(store, "mine")


async def test_a_creation_that_was_made_is_found_after_its_response_was_lost(
    database: Database, connection: Connection, claims: Claims, players: PlayerStore
) -> None:
    await player_store(connection, claims, LostResponse("insert_one")).create(a_player("ada"))
    sessions = session_store(connection, claims, LostResponse("insert_one"))
    session = await sessions.create(a_session("ada"))
    assert session.id == "s"
    assert await database.sessions.count_documents({}) == 1
    assert (await players.get("ada")).session_id == "s"


async def test_a_creation_that_may_still_arrive_is_unknown(
    database: Database, connection: Connection, claims: Claims, players: PlayerStore
) -> None:
    """It is not repeated, because the repetition could bring a deleted document back."""
    with pytest.raises(DatabaseUnavailable):
        await player_store(connection, claims, LostResponse("insert_one", before=True)).create(
            a_player("ada")
        )
    assert await database.players.count_documents({}) == 0
    await players.create(a_player("ada"))
    sessions = session_store(connection, claims, LostResponse("insert_one", before=True))
    with pytest.raises(DatabaseUnavailable):
        await sessions.create(a_session("ada"))
    assert await database.sessions.count_documents({}) == 0


async def test_a_deleted_player_does_not_come_back(
    connection: Connection, claims: Claims, players: PlayerStore
) -> None:
    """The insertion arrived, its response did not, and another process deletes the player."""

    async def delete() -> None:
        await players.delete("ada", ANY_VERSION)

    store = player_store(connection, claims, LostResponse("insert_one", then=delete))
    with pytest.raises(DatabaseUnavailable):
        await store.create(a_player("ada"))
    with pytest.raises(PlayerNotFound):
        await players.get("ada")


async def test_a_creation_that_was_made_is_not_reported_as_refused(
    connection: Connection, claims: Claims, players: PlayerStore
) -> None:
    """Another process deletes the new player and creates another one of the same id."""

    async def replace() -> None:
        await players.delete("ada", ANY_VERSION)
        await players.create(a_player("ada"))

    store = player_store(connection, claims, LostResponse("insert_one", then=replace))
    with pytest.raises(DatabaseUnavailable):
        await store.create(a_player("ada"))


async def test_a_creation_that_arrives_late_was_not_reported_as_refused(
    connection: Connection, claims: Claims, players: PlayerStore
) -> None:
    """While it is on its way, another player takes the username and gives it back."""

    async def take_username() -> None:
        await players.create(a_player("bob", username="ada", username_key="ada"))

    response = LostResponse("insert_one", before=True, then=take_username)
    with pytest.raises(DatabaseUnavailable):
        await player_store(connection, claims, response).create(a_player("ada"))
    await players.delete("bob", ANY_VERSION)
    await response.deliver()
    assert (await players.get("ada")).username == "ada"


async def test_a_rename_that_arrives_late_was_not_reported_as_refused(
    connection: Connection, claims: Claims, players: PlayerStore
) -> None:
    for name in ("ada", "bob"):
        await players.create(a_player(name))

    async def take_username() -> None:
        await players.change("bob", changed({"username": "wanted"}))

    response = LostResponse("update_one", before=True, then=take_username)
    store = player_store(connection, claims, response)
    with pytest.raises(DatabaseUnavailable):
        await store.change("ada", changed({"username": "wanted"}))
    await players.change("bob", changed({"username": "else"}))
    await response.deliver()
    assert (await players.get("ada")).username == "wanted"


async def test_a_refusal_after_a_lost_write_is_final(
    database: Database, connection: Connection, claims: Claims, sessions: SessionStore
) -> None:
    """The write may still arrive. Before the join is refused, another write takes its place."""
    players = await add_players(database, 1)
    await sessions.create(a_session(max_players=1))

    async def delete_player() -> None:
        # As if another process had settled the claim of a session that was gone, and deleted it.
        await database.players.delete_one({"_id": players[0]})

    response = LostResponse("replace_one", before=True, then=delete_player)
    store = session_store(connection, claims, response)
    with pytest.raises(PlayerNotFound):
        await store.change("s", lambda s: s.join(players, None, SYSTEM, LATER))
    await response.deliver()
    assert (await stored(sessions, "s")).members == ()


@pytest.mark.parametrize("before", [True, False])
async def test_a_player_change_whose_response_is_lost_is_made_once(
    connection: Connection, claims: Claims, players: PlayerStore, before: bool
) -> None:
    await players.create(a_player("ada"))
    store = player_store(connection, claims, LostResponse("update_one", before))
    player, _ = await store.change("ada", provided(FIRST_VERSION, changed({"rating": 5})))
    assert (player.rating, player.version) == (5, 2)


@pytest.mark.parametrize("before", [True, False])
async def test_a_deletion_whose_response_is_lost_is_made_once(
    database: Database, connection: Connection, claims: Claims, players: PlayerStore, before: bool
) -> None:
    await players.create(a_player("ada"))
    store = player_store(connection, claims, LostResponse("delete_one", before))
    await store.delete("ada", ANY_VERSION)
    assert await database.players.count_documents({}) == 0


async def test_a_player_change_that_is_lost_behind_another_stays_unknown(
    connection: Connection, claims: Claims, players: PlayerStore
) -> None:
    """It is neither reported as refused, although it was made, nor made twice."""
    await players.create(a_player("ada"))

    async def change_too() -> None:
        await players.change("ada", changed({"display_name": "B"}))

    store = player_store(connection, claims, LostResponse("update_one", then=change_too))
    with pytest.raises(DatabaseUnavailable):
        await store.change("ada", provided(FIRST_VERSION, changed({"rating": 7})))
    player = await players.get("ada")
    assert (player.rating, player.display_name, player.version) == (7, "B", 3)


async def test_a_deletion_whose_response_is_lost_spares_the_next_player_of_that_id(
    connection: Connection, claims: Claims, players: PlayerStore
) -> None:
    await players.create(a_player("ada"))

    async def create_again() -> None:
        await players.create(a_player("ada"))

    store = player_store(connection, claims, LostResponse("delete_one", then=create_again))
    await store.delete("ada", ANY_VERSION)
    assert (await players.get("ada")).version == 1


async def test_a_repeated_creation_finds_the_session_under_a_later_id(
    database: Database, connection: Connection, sessions: SessionStore
) -> None:
    """Just before this attempt claims the host, another one has gone on to the next id."""
    await database.players.insert_one(a_player("ada").model_dump_doc())
    session = a_session("ada", id=new_id())
    others: list[str] = []

    async def claim(collection: Any, *arguments: Any, **options: Any) -> Any:
        if not others:
            others.append(session.id)
            await database.sessions.insert_one({"_id": session.id, "revision": 1})
            others.append((await sessions.create(session.model_copy(), repeated=True)).id)
        return await collection.update_one(*arguments, **options)

    late = Claims(Collections(connection, players={"update_one": claim}))
    store = SessionStore(connection, late, Metrics())
    found = await store.create(session.model_copy(), repeated=True)
    assert [session.id, found.id] == others and found.id > session.id
