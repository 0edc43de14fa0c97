"""The store of sessions: several stores change the same sessions at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from game_api.access.caller import SYSTEM
from game_api.database.client import Database, connect
from game_api.database.connection import FixedConnection
from game_api.errors import ApiError
from game_api.http.preconditions import Precondition
from game_api.observability.metrics import Metrics
from game_api.players.errors import PlayerNotFound
from game_api.players.store import PlayerStore
from game_api.seats.claims import Claims
from game_api.sessions.errors import AlreadyInSession, SessionFull
from game_api.sessions.model import Events
from game_api.sessions.rounds import Rule
from game_api.sessions.store import SessionStore
from tests.build import LATER, a_session
from tests.sessions.checks import add_players, assert_consistent, joins, stored

ANY_VERSION = Precondition().check


@pytest.fixture
async def stores(uri: str, database: Database) -> AsyncIterator[list[SessionStore]]:
    """Three stores with their own clients, as three processes have them."""
    async with connect(uri) as one, connect(uri) as two, connect(uri) as three:
        connections = [FixedConnection(c.get_default_database()) for c in (one, two, three)]
        yield [SessionStore(c, Claims(c), Metrics()) for c in connections]


def join(player: str) -> Rule[Events]:
    return lambda session: session.join([player], None, SYSTEM, LATER)


async def test_stores_that_share_a_session_lose_no_change(
    stores: list[SessionStore], database: Database
) -> None:
    players = await add_players(database, 90)
    await stores[0].create(a_session(max_players=64))
    answers = await asyncio.gather(
        *(joins(store, "s", players[number::3]) for number, store in enumerate(stores))
    )
    seated = [a for batch in answers for a in batch if not isinstance(a, BaseException)]
    refused = [a for batch in answers for a in batch if isinstance(a, BaseException)]
    assert len(seated) == 64
    assert {type(error) for error in refused} == {SessionFull}
    session = await stored(stores[0], "s")
    assert session.version == 65
    assert sorted(after.version for after, _ in seated) == list(range(2, 66))
    await assert_consistent(database)


async def test_a_player_who_joins_many_sessions_at_once_gets_one_seat(
    stores: list[SessionStore], database: Database
) -> None:
    """The race that claims resolve: the same players, several sessions, several processes."""
    players = await add_players(database, 12)
    ids = [f"s{n}" for n in range(4)]
    for session_id in ids:
        await stores[0].create(a_session(id=session_id, max_players=12))
    attempts = [(store, i, p) for p in players for i in ids for store in stores[:2]]
    answers = await asyncio.gather(
        *(store.change(i, join(p)) for store, i, p in attempts), return_exceptions=True
    )
    seats: dict[str, set[str]] = {p: set() for p in players}
    for (_, session_id, player), answer in zip(attempts, answers, strict=True):
        if isinstance(answer, BaseException):
            assert isinstance(answer, AlreadyInSession), answer
        else:
            seats[player].add(session_id)
    assert all(len(sessions) == 1 for sessions in seats.values()), seats
    await assert_consistent(database)


async def test_players_who_switch_between_sessions_end_with_one_seat(
    stores: list[SessionStore], database: Database
) -> None:
    """The same players join, leave and form parties, through two stores at once."""
    players = await add_players(database, 8)
    ids = [f"s{n}" for n in range(3)]
    for session_id in ids:
        await stores[0].create(a_session(id=session_id, max_players=8))

    async def switch(number: int) -> None:
        store = stores[number % 2]
        player = players[number % len(players)]
        for step in range(12):
            session_id = ids[(number * 7 + step * 5) % 3]
            party = [player, players[(number + step) % len(players)]]
            try:
                if step % 4 == 3:
                    await store.change(session_id, lambda s: s.leave(player, SYSTEM, LATER))
                elif step % 4 == 1 and party[0] != party[1]:
                    await store.change(session_id, lambda s: s.join(party, None, SYSTEM, LATER))
                else:
                    await store.change(session_id, join(player))
            except ApiError as error:
                # On a slow machine, a change may wait for its players until its deadline.
                assert error.status in (409, 503), error

    await asyncio.gather(*(switch(number) for number in range(16)))
    await assert_consistent(database)
    for session_id in ids:
        await stores[0].change(
            session_id, lambda s: s.change({"status": "cancelled"}, SYSTEM, LATER)
        )
    await stores[1].create(a_session(*players, id="last", max_players=8))
    await assert_consistent(database)


async def test_a_concurrent_deletion_and_join_leave_no_seat_without_a_player(
    database: Database, players: PlayerStore, sessions: SessionStore
) -> None:
    names = await add_players(database, 20)
    await sessions.create(a_session(max_players=20))
    deletions = [players.delete(name, ANY_VERSION) for name in names]
    answers, joined = await asyncio.gather(
        asyncio.gather(*deletions, return_exceptions=True), joins(sessions, "s", names)
    )
    seated = {m.player_id for m in (await stored(sessions, "s")).members}
    for name, deleted, answer in zip(names, answers, joined, strict=True):
        if name in seated:
            assert getattr(deleted, "code", None) == "in_session"
            assert not isinstance(answer, BaseException)
        else:
            assert deleted is None and isinstance(answer, PlayerNotFound)
    await assert_consistent(database)
