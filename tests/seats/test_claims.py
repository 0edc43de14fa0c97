"""Claims: a player has at most one seat and is never blocked, whichever process dies or hangs."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from game_api.access.caller import SYSTEM
from game_api.clock import utc_now
from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.http.preconditions import Precondition
from game_api.observability.metrics import Metrics
from game_api.players.errors import InSession, PlayerNotFound
from game_api.players.store import PlayerStore
from game_api.seats.claims import TOMBSTONE_LIFETIME, Claims, Hold
from game_api.sessions.errors import AlreadyInSession, SessionNotFound
from game_api.sessions.filters import SessionFilter
from game_api.sessions.rounds import load
from game_api.sessions.store import SessionStore
from tests.build import LATER, a_session
from tests.database.collections import Collections
from tests.seats.writers import StoppedWriter, claim, join
from tests.sessions.checks import a_round, stale_token, stored

ANY_VERSION = Precondition().check


async def test_a_claim_of_a_dead_process_does_not_block_the_player(
    prepared: Database, sessions: SessionStore, stopped: StoppedWriter
) -> None:
    session = await join(sessions, "b", "ada")
    assert session.member("ada") and (await claim(prepared))[0] == "b"


async def test_a_writer_that_lost_its_claim_can_no_longer_write(
    prepared: Database, sessions: SessionStore, stopped: StoppedWriter
) -> None:
    await join(sessions, "b", "ada")
    assert not await stopped.write()
    assert not (await stored(sessions, "a")).members


async def test_a_writer_that_was_faster_keeps_the_seat(
    connection: Connection, sessions: SessionStore, stopped: StoppedWriter
) -> None:
    claim_found = asyncio.Event()

    def find(collection: Any, *arguments: Any, **options: Any) -> Any:
        claim_found.set()  # The owner of the claim now gets time to seat the player.
        return collection.find(*arguments, **options)

    watched = Collections(connection, players={"find": find})
    other = SessionStore(watched, Claims(watched), Metrics())
    late = asyncio.create_task(join(other, "b", "ada"))
    await claim_found.wait()
    assert await stopped.write()
    with pytest.raises(AlreadyInSession):
        await late
    assert (await stored(sessions, "a")).member("ada")


async def test_an_abandoned_claim_does_not_block_its_own_session(
    prepared: Database, sessions: SessionStore, stopped: StoppedWriter
) -> None:
    assert (await join(sessions, "a", "ada")).member("ada")
    assert not await stopped.write()


async def test_two_writers_for_the_same_seat_never_lose_its_claim(
    prepared: Database,
    connection: Connection,
    claims: Claims,
    sessions: SessionStore,
    stopped: StoppedWriter,
) -> None:
    """The writer that gives up must not release the claim on which the other's seat depends."""
    other = StoppedWriter(connection, claims, "ada")
    await other.load_and_claim()
    assert await stopped.write()
    await claims.release(other.round.hold, other.round.hold.tokens)
    assert await claim(prepared) == ("a", stopped.round.hold.tokens["ada"])
    with pytest.raises(AlreadyInSession):
        await join(sessions, "b", "ada")


async def test_a_process_that_dies_between_leave_and_release_does_not_block_the_player(
    prepared: Database, connection: Connection, claims: Claims, sessions: SessionStore
) -> None:
    await join(sessions, "a", "ada")
    leaving = a_round(connection, claims, "a", lambda s: s.leave("ada", SYSTEM, LATER))
    assert await leaving.write(await leaving.make_plan(await load(connection, "a")))
    assert (await claim(prepared))[0] == "a"  # The release has not happened.
    assert (await join(sessions, "b", "ada")).member("ada")


async def test_a_late_release_does_not_affect_a_newer_seat(
    prepared: Database, sessions: SessionStore, claims: Claims
) -> None:
    await join(sessions, "a", "ada")
    _, old = await claim(prepared)
    await sessions.change("a", lambda s: s.leave("ada", SYSTEM, LATER))
    await join(sessions, "a", "ada")
    await claims.release(Hold("a"), {"ada": str(old)})
    assert (await claim(prepared))[0] == "a"
    with pytest.raises(AlreadyInSession):
        await join(sessions, "b", "ada")


async def test_a_leave_an_end_and_a_refused_join_release_the_claim(
    prepared: Database, sessions: SessionStore
) -> None:
    await join(sessions, "a", "ada", "bob")
    await sessions.change("a", lambda s: s.leave("ada", SYSTEM, LATER))
    assert await claim(prepared) == (None, None)
    await sessions.change("a", lambda s: s.change({"status": "cancelled"}, SYSTEM, LATER))
    assert await claim(prepared, "bob") == (None, None)
    await join(sessions, "b", "bob")
    await sessions.create(a_session(id="c"))
    with pytest.raises(AlreadyInSession):
        await join(sessions, "c", "ada", "bob")
    assert await claim(prepared) == (None, None)


async def test_a_join_and_a_leave_in_one_round_leave_no_claim(
    prepared: Database, sessions: SessionStore
) -> None:
    await asyncio.gather(
        join(sessions, "a", "ada"),
        sessions.change("a", lambda s: s.leave("ada", SYSTEM, LATER)),
        join(sessions, "a", "bob"),
    )
    assert await claim(prepared) == (None, None)
    assert (await claim(prepared, "bob"))[0] == "a"


async def test_a_player_who_joins_and_leaves_in_one_round_must_exist_and_be_free(
    prepared: Database, sessions: SessionStore
) -> None:
    await join(sessions, "b", "ada")
    answers = await asyncio.gather(
        join(sessions, "a", "ada"),
        sessions.change("a", lambda s: s.leave("ada", SYSTEM, LATER)),
        join(sessions, "a", "ghost"),
        sessions.change("a", lambda s: s.leave("ghost", SYSTEM, LATER)),
        join(sessions, "a", "bob"),
        return_exceptions=True,
    )
    assert isinstance(answers[0], AlreadyInSession) and isinstance(answers[2], PlayerNotFound)
    session = await stored(sessions, "a")
    assert session.version == 2 and session.host_player_id == "bob"


async def test_a_leave_and_a_join_in_one_round_keep_the_claim(
    prepared: Database, sessions: SessionStore
) -> None:
    await join(sessions, "a", "ada")
    before = await claim(prepared)
    await asyncio.gather(
        sessions.change("a", lambda s: s.leave("ada", SYSTEM, LATER)), join(sessions, "a", "ada")
    )
    assert await claim(prepared) == before
    await sessions.change("a", lambda s: s.leave("ada", SYSTEM, LATER))
    assert await claim(prepared) == (None, None)


async def test_a_creation_that_stops_before_its_insert_blocks_no_player_and_is_never_inserted(
    prepared: Database, sessions: SessionStore, claims: Claims
) -> None:
    hold = Hold("c")
    hold.token = stale_token()
    await claims.take(hold, ["ada"])
    assert (await join(sessions, "b", "ada")).member("ada")
    # If the abandoned session is inserted late, the tombstone prevents it.
    late = await sessions.create(a_session("bob", id="c"))
    assert late.id != "c"
    tombstone = await prepared.sessions.find_one({"_id": "c"})
    assert tombstone and tombstone.keys() == {"_id", "revision", "purge_at"}
    lifetime = tombstone["purge_at"] - utc_now()
    assert timedelta(hours=23) < lifetime <= TOMBSTONE_LIFETIME
    with pytest.raises(SessionNotFound):
        await stored(sessions, "c")
    listed = await sessions.list(SessionFilter(), 100)
    assert {document["_id"] for document in listed} == {"a", "b", late.id}


async def test_a_host_with_an_abandoned_claim_can_create(
    prepared: Database, sessions: SessionStore, stopped: StoppedWriter
) -> None:
    session = await sessions.create(a_session("ada", id="c"))
    assert session.id == "c" and (await claim(prepared))[0] == "c"
    assert not await stopped.write()


async def test_a_player_with_an_abandoned_claim_can_be_deleted(
    prepared: Database, players: PlayerStore, sessions: SessionStore, stopped: StoppedWriter
) -> None:
    await players.delete("ada", ANY_VERSION)
    assert not await stopped.write()
    assert await prepared.players.count_documents({"_id": "ada"}) == 0


async def test_a_player_who_is_claimed_during_a_deletion_is_not_deleted(
    prepared: Database, connection: Connection, claims: Claims, sessions: SessionStore
) -> None:
    async def delete_one(collection: Any, query: Any) -> Any:
        await join(sessions, "a", "ada")
        return await collection.delete_one(query)

    players = PlayerStore(Collections(connection, players={"delete_one": delete_one}), claims)
    with pytest.raises(InSession):
        await players.delete("ada", ANY_VERSION)
    assert (await stored(sessions, "a")).member("ada") and (await claim(prepared))[0] == "a"


async def test_an_abandoned_claim_shows_no_session(
    prepared: Database, players: PlayerStore, sessions: SessionStore, stopped: StoppedWriter
) -> None:
    player = await players.get("ada")
    assert player.session_id == "a"
    assert await sessions.live_session_of(player.id, player.session_id) is None


async def test_a_claim_of_a_deleted_session_does_not_block_the_player(
    prepared: Database, sessions: SessionStore
) -> None:
    await prepared.players.update_one(
        {"_id": "ada"}, {"$set": {"session_id": "gone", "claim": stale_token()}}
    )
    assert (await join(sessions, "b", "ada")).member("ada")
