"""Claims: whoever dies or hangs between two writes, a player has one seat and gets the next."""

import asyncio
from typing import Any

import pytest

from game_api.database import Database
from game_api.errors import AlreadyInSession, InSession, PlayerNotFound, SessionNotFound
from game_api.metrics import Metrics
from game_api.players.store import PlayerStore
from game_api.preconditions import Precondition
from game_api.sessions.claims import Claims, Hold
from game_api.sessions.model import Session
from game_api.sessions.store import Plan, SessionFilter, SessionStore
from tests.build import LATER, a_player, a_session


@pytest.fixture
async def world(database: Database, sessions: SessionStore) -> Database:
    """Two players without a seat, and sessions `a` and `b`."""
    for name in ("ada", "bob"):
        await database.players.insert_one(a_player(name).model_dump_doc())
    for session_id in ("a", "b"):
        await sessions.create(a_session(id=session_id))
    return database


async def join(sessions: SessionStore, session_id: str, *players: str) -> Session:
    session, _ = await sessions.change(session_id, lambda s: s.join(players, None, LATER))
    return session


async def claim(database: Database, player_id: str = "ada") -> tuple[str | None, str | None]:
    document = await database.players.find_one({"_id": player_id})
    assert document
    return document["session_id"], document["claim"]


class Stopped:
    """A writer of session `a` that stops where a process may die or hang."""

    def __init__(self, database: Database, claims: Claims) -> None:
        self.store = SessionStore(database, claims, Metrics())
        self.claims = claims
        self.hold = Hold("a")

    async def load_and_claim(self, *players: str) -> None:
        loaded = await self.store.get("a")
        self.plan = Plan.of(loaded, [lambda s: s.join(players, None, LATER)], {})
        assert not await self.claims.take(self.hold, players)

    async def write(self) -> bool:
        return await self.store._write(self.plan, self.hold, {})


@pytest.fixture
def stopped(world: Database, claims: Claims) -> Stopped:
    return Stopped(world, claims)


async def test_a_claim_left_by_a_dead_process_blocks_nobody(
    world: Database, sessions: SessionStore, stopped: Stopped
) -> None:
    await stopped.load_and_claim("ada")
    session = await join(sessions, "b", "ada")
    assert session.member("ada") and (await claim(world))[0] == "b"


async def test_a_writer_whose_claim_was_taken_away_can_not_write_any_more(
    world: Database, sessions: SessionStore, stopped: Stopped
) -> None:
    await stopped.load_and_claim("ada")
    await join(sessions, "b", "ada")
    assert not await stopped.write()
    assert not (await sessions.get("a")).members


async def test_a_writer_who_was_quicker_keeps_the_seat(
    world: Database, sessions: SessionStore, stopped: Stopped
) -> None:
    await stopped.load_and_claim("ada")
    late = asyncio.create_task(join(sessions, "b", "ada"))
    await asyncio.sleep(0.02)  # it is being patient with the claim
    assert await stopped.write()
    with pytest.raises(AlreadyInSession):
        await late
    assert (await sessions.get("a")).member("ada")


async def test_the_claim_left_behind_is_no_bar_to_the_same_session(
    world: Database, sessions: SessionStore, stopped: Stopped
) -> None:
    await stopped.load_and_claim("ada")
    assert (await join(sessions, "a", "ada")).member("ada")
    assert not await stopped.write()


async def test_two_writers_for_the_same_seat_never_lose_its_claim(
    world: Database, claims: Claims, sessions: SessionStore, stopped: Stopped
) -> None:
    """One of them gives up, and must not release what the other's seat rests on."""
    await stopped.load_and_claim("ada")
    other = Stopped(world, claims)
    await other.load_and_claim("ada")
    assert await stopped.write()
    await claims.release(other.hold.unused(seated=()))
    assert (await claim(world))[0] == "a"
    with pytest.raises(AlreadyInSession):
        await join(sessions, "b", "ada")


async def test_a_process_that_dies_between_leaving_and_release_blocks_nobody(
    world: Database, sessions: SessionStore
) -> None:
    await join(sessions, "a", "ada")
    loaded = await sessions.get("a")
    plan = Plan.of(loaded, [lambda s: s.leave("ada", LATER)], {})
    assert await sessions._write(plan, Hold("a"), {})  # and never the release
    assert (await claim(world))[0] == "a"
    assert (await join(sessions, "b", "ada")).member("ada")


async def test_a_late_release_does_not_harm_a_newer_seat(
    world: Database, sessions: SessionStore, claims: Claims
) -> None:
    await join(sessions, "a", "ada")
    _, old = await claim(world)
    await sessions.change("a", lambda s: s.leave("ada", LATER))
    await join(sessions, "a", "ada")
    await claims.release({"ada": str(old)})
    assert (await claim(world))[0] == "a"
    with pytest.raises(AlreadyInSession):
        await join(sessions, "b", "ada")


async def test_leaving_ending_and_being_refused_release_the_claim(
    world: Database, sessions: SessionStore
) -> None:
    await join(sessions, "a", "ada", "bob")
    await sessions.change("a", lambda s: s.leave("ada", LATER))
    assert await claim(world) == (None, None)
    await sessions.change("a", lambda s: s.change({"status": "cancelled"}, LATER))
    assert await claim(world, "bob") == (None, None)
    await join(sessions, "b", "bob")
    await sessions.create(a_session(id="c"))
    with pytest.raises(AlreadyInSession):
        await join(sessions, "c", "ada", "bob")
    assert await claim(world) == (None, None)


async def test_joining_and_leaving_in_one_round_leaves_no_claim(
    world: Database, sessions: SessionStore
) -> None:
    await asyncio.gather(
        join(sessions, "a", "ada"),
        sessions.change("a", lambda s: s.leave("ada", LATER)),
        join(sessions, "a", "bob"),
    )
    assert await claim(world) == (None, None)
    assert (await claim(world, "bob"))[0] == "a"


async def test_nobody_is_a_guest_for_less_than_a_round(
    world: Database, sessions: SessionStore
) -> None:
    """Who joins and leaves within one round still has to exist, and to be free."""
    await join(sessions, "b", "ada")
    answers = await asyncio.gather(
        join(sessions, "a", "ada"),
        sessions.change("a", lambda s: s.leave("ada", LATER)),
        join(sessions, "a", "ghost"),
        sessions.change("a", lambda s: s.leave("ghost", LATER)),
        join(sessions, "a", "bob"),
        return_exceptions=True,
    )
    assert isinstance(answers[0], AlreadyInSession) and isinstance(answers[2], PlayerNotFound)
    session = await sessions.get("a")
    assert session.version == 2 and session.host_player_id == "bob"


async def test_leaving_and_joining_in_one_round_keeps_the_claim(
    world: Database, sessions: SessionStore
) -> None:
    await join(sessions, "a", "ada")
    before = await claim(world)
    await asyncio.gather(
        sessions.change("a", lambda s: s.leave("ada", LATER)), join(sessions, "a", "ada")
    )
    assert await claim(world) == before
    await sessions.change("a", lambda s: s.leave("ada", LATER))
    assert await claim(world) == (None, None)


async def test_a_creation_that_died_before_its_insert_blocks_nobody_and_never_arrives(
    world: Database, sessions: SessionStore, claims: Claims
) -> None:
    hold = Hold("c")
    await claims.take(hold, ["ada"])
    assert (await join(sessions, "b", "ada")).member("ada")
    # The insert of the session that was given up comes late: the tombstone keeps it out.
    late = await SessionStore(world, claims, Metrics()).create(a_session("bob", id="c"))
    assert late.id != "c"
    with pytest.raises(SessionNotFound):
        await sessions.get("c")
    listed = await sessions.list(SessionFilter(), 100)
    assert {session.id for session in listed} == {"a", "b", late.id}


async def test_a_host_with_an_abandoned_claim_can_create(
    world: Database, sessions: SessionStore, stopped: Stopped
) -> None:
    await stopped.load_and_claim("ada")
    session = await sessions.create(a_session("ada", id="c"))
    assert session.id == "c" and (await claim(world))[0] == "c"
    assert not await stopped.write()


async def test_a_player_with_an_abandoned_claim_can_be_deleted(
    world: Database, players: PlayerStore, sessions: SessionStore, stopped: Stopped
) -> None:
    await stopped.load_and_claim("ada")
    await players.delete("ada", Precondition(None))
    assert not await stopped.write()
    assert await world.players.count_documents({"_id": "ada"}) == 0


async def test_a_player_who_is_claimed_while_being_deleted_stays(
    world: Database, players: PlayerStore, sessions: SessionStore
) -> None:
    class Overtaken:
        """The players, where somebody else is quicker than a deletion."""

        def __getattr__(self, name: str) -> Any:
            return getattr(world.players, name)

        async def delete_one(self, query: Any) -> Any:
            await join(sessions, "a", "ada")
            return await world.players.delete_one(query)

    setattr(players, "_players", Overtaken())
    with pytest.raises(InSession):
        await players.delete("ada", Precondition(None))
    assert (await sessions.get("a")).member("ada") and (await claim(world))[0] == "a"


async def test_an_abandoned_claim_shows_no_session(
    world: Database, players: PlayerStore, sessions: SessionStore, stopped: Stopped
) -> None:
    await stopped.load_and_claim("ada")
    assert await sessions.of_player(await players.get("ada")) is None


async def test_a_claim_on_a_session_that_is_gone_is_no_bar(
    world: Database, sessions: SessionStore
) -> None:
    await join(sessions, "a", "ada")
    await world.sessions.delete_one({"_id": "a"})
    assert (await join(sessions, "b", "ada")).member("ada")
