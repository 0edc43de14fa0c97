"""Contention: several writers want the same players, and each gets a prompt answer."""

import asyncio
from typing import Any

import pytest

from game_api.access.caller import SYSTEM
from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.http.preconditions import Precondition
from game_api.observability.metrics import Metrics
from game_api.players.errors import InSession, PlayerNotFound
from game_api.players.store import PlayerStore
from game_api.seats.claims import Claims, Hold
from game_api.sessions.errors import AlreadyInSession
from game_api.sessions.model import Session
from game_api.sessions.store import SessionStore
from tests.build import LATER, a_session
from tests.database.collections import Collections
from tests.documentdb import DocumentDbGuard
from tests.seats.writers import StoppedWriter, claim, join
from tests.sessions.checks import add_players, assert_consistent

ANY_VERSION = Precondition().check


async def test_the_claims_of_a_dead_party_are_settled_together(
    database: Database,
    connection: Connection,
    claims: Claims,
    sessions: SessionStore,
    guard: DocumentDbGuard,
) -> None:
    """The number of commands does not depend on the number of players."""
    names = await add_players(database, 64)
    for session_id in ("a", "b"):
        await sessions.create(a_session(id=session_id, max_players=64))
    assert await claims.take(Hold("a"), names) == (set(), {})  # The process dies here.
    guard.forget()
    session = await join(sessions, "b", *names)
    assert len(session.members) == 64 and session.version == 2
    assert sum(guard.count.values()) <= 16, guard.count


async def test_two_parties_that_share_players_end_with_one_seat_for_each_player(
    database: Database, connection: Connection, sessions: SessionStore
) -> None:
    """One party is seated and the other one is refused, while another change is not delayed."""
    names = await add_players(database, 24)
    for session_id in ("a", "b"):
        await sessions.create(a_session(id=session_id, max_players=32))
    other = SessionStore(connection, Claims(connection), Metrics())
    first, second, bystander = await asyncio.gather(
        join(sessions, "a", *names[:16]),
        join(other, "b", *names[8:]),
        other.change("b", lambda s: s.change({"name": "x"}, SYSTEM, LATER)),
        return_exceptions=True,
    )
    refused = [answer for answer in (first, second) if isinstance(answer, AlreadyInSession)]
    seated = [answer for answer in (first, second) if isinstance(answer, Session)]
    assert len(refused) == len(seated) == 1 and len(seated[0].members) == 16
    assert not isinstance(bystander, BaseException)
    await assert_consistent(database)
    claimed = await database.players.count_documents({"session_id": {"$ne": None}})
    assert claimed == 16
    assert await database.sessions.count_documents({"version": {"$exists": False}}) == 0


async def test_a_change_that_contests_claims_does_not_delay_the_others(
    prepared: Database, connection: Connection, claims: Claims, sessions: SessionStore
) -> None:
    """The claim belongs to a creation that is still running, so it can't be settled yet.

    The change keeps the claims that it has obtained already.
    """
    await claims.take(Hold("c"), ["ada"])
    contesting = asyncio.create_task(join(sessions, "a", "ada", "bob"))
    for number in range(3):
        await sessions.change("a", lambda s: s.change({"name": f"n{number}"}, SYSTEM, LATER))
        assert (await claim(prepared, "bob"))[0] == "a"
    assert not contesting.done()
    await prepared.players.update_one({"_id": "ada"}, {"$set": {"session_id": None}})
    assert len((await contesting).members) == 2


async def test_two_creations_for_one_host_make_one_session(
    prepared: Database, connection: Connection
) -> None:
    async def insert_one(collection: Any, document: Any) -> Any:
        await asyncio.sleep(0.6)  # It takes longer than the first patience of the other one.
        return await collection.insert_one(document)

    slow = Collections(connection, sessions={"insert_one": insert_one})
    stores = [SessionStore(slow, Claims(slow), Metrics()) for _ in range(2)]
    answers = await asyncio.gather(
        *(store.create(a_session("ada", id=f"c{n}")) for n, store in enumerate(stores)),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["AlreadyInSession", "Session"]
    assert await prepared.sessions.count_documents({"version": {"$exists": False}}) == 0


async def test_a_deletion_waits_for_a_creation_in_progress(
    prepared: Database, connection: Connection, players: PlayerStore
) -> None:
    began = asyncio.Event()

    async def insert_one(collection: Any, document: Any) -> Any:
        began.set()
        await asyncio.sleep(0.1)
        return await collection.insert_one(document)

    slow = Collections(connection, sessions={"insert_one": insert_one})
    creating = asyncio.create_task(
        SessionStore(slow, Claims(slow), Metrics()).create(a_session("ada", id="c"))
    )
    await began.wait()
    with pytest.raises(InSession):
        await players.delete("ada", ANY_VERSION)
    assert (await creating).id == "c"
    assert await prepared.sessions.count_documents({"version": {"$exists": False}}) == 0


async def test_the_same_join_in_two_processes_leaves_no_claim_after_a_leave(
    prepared: Database, connection: Connection, sessions: SessionStore
) -> None:
    """The second writer of a seat restores the token of the first one."""
    other = SessionStore(connection, Claims(connection), Metrics())
    for _ in range(20):
        await asyncio.gather(join(sessions, "a", "ada"), join(other, "a", "ada"))
        await sessions.change("a", lambda s: s.leave("ada", SYSTEM, LATER))
        assert await claim(prepared) == (None, None)


async def test_a_refused_creation_releases_the_claims_of_its_members(
    prepared: Database, sessions: SessionStore
) -> None:
    await join(sessions, "a", "bob")
    with pytest.raises(AlreadyInSession):
        await sessions.create(a_session("ada", "bob", id="c"))
    with pytest.raises(PlayerNotFound):
        await sessions.create(a_session("ada", "ghost", id="d"))
    assert await claim(prepared) == (None, None)
    assert (await claim(prepared, "bob"))[0] == "a"


async def test_a_refused_party_gives_a_claim_back_to_another_writer_of_the_session(
    prepared: Database, sessions: SessionStore, stopped: StoppedWriter
) -> None:
    """The other writer seats the player while the party still contests another claim."""
    await join(sessions, "b", "bob")
    original = await claim(prepared)
    party = asyncio.create_task(join(sessions, "a", "ada", "bob"))
    while await claim(prepared) == original:
        await asyncio.sleep(0)
    assert await stopped.write()
    with pytest.raises(AlreadyInSession):
        await party
    assert await claim(prepared) == original
    with pytest.raises(AlreadyInSession):
        await join(sessions, "b", "ada")


async def test_a_refused_party_leaves_no_claim_that_another_writer_has_given_up(
    prepared: Database, claims: Claims, sessions: SessionStore, stopped: StoppedWriter
) -> None:
    """The other writer could not release its claim, because the party had taken it over."""
    await join(sessions, "b", "bob")
    original = await claim(prepared)
    party = asyncio.create_task(join(sessions, "a", "ada", "bob"))
    while await claim(prepared) == original:
        await asyncio.sleep(0)
    await claims.release(stopped.round.hold, stopped.round.hold.tokens)
    with pytest.raises(AlreadyInSession):
        await party
    assert await claim(prepared) == (None, None)
    assert not await stopped.write()
