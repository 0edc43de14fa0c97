"""Group commit: many rules, few writes, and each answer its own."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from game_api.database import Database, connect
from game_api.errors import (
    AlreadyInSession,
    ApiError,
    PlayerNotFound,
    SessionFull,
    SessionNotFound,
)
from game_api.metrics import Metrics
from game_api.players.store import PlayerStore
from game_api.preconditions import Precondition
from game_api.sessions.claims import Claims
from game_api.sessions.model import Session
from game_api.sessions.store import Rule, SessionFilter, SessionStore, readings
from tests.build import LATER, a_player, a_session
from tests.documentdb import DocumentDbGuard


async def add_players(database: Database, count: int, prefix: str = "p") -> list[str]:
    names = [f"{prefix}{number}" for number in range(count)]
    await database.players.insert_many([a_player(name).model_dump_doc() for name in names])
    return names


def joins(store: SessionStore, session_id: str, players: Iterable[str]) -> Any:
    def join(player: str) -> Any:
        return store.change(session_id, lambda s: s.join([player], None, LATER))

    return asyncio.gather(*map(join, players), return_exceptions=True)


def joining(player: str) -> Rule[bool]:
    return lambda session: session.join([player], None, LATER)


def writes(guard: DocumentDbGuard) -> int:
    return guard.count["update", "sessions"]


async def test_a_thousand_joins_on_64_seats_are_a_handful_of_writes(
    database: Database, sessions: SessionStore, guard: DocumentDbGuard
) -> None:
    players = await add_players(database, 1000)
    await sessions.create(a_session(max_players=64))
    guard.forget()
    answers = await joins(sessions, "s", players)
    seated = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(seated) == 64
    assert all(isinstance(a, SessionFull) for a in answers if isinstance(a, BaseException))
    assert writes(guard) <= 20
    assert sum(guard.count.values()) <= 20, guard.count
    session = await sessions.get("s")
    assert session.version == 65 and session.free_slots == 0
    assert sorted(after.version for after, _ in seated) == list(range(2, 66))
    assert [m.player_id for m in session.members] == players[:64]


async def test_each_caller_sees_the_session_as_its_own_rule_left_it(
    database: Database, sessions: SessionStore
) -> None:
    players = await add_players(database, 3)
    await sessions.create(a_session())
    answers = await joins(sessions, "s", players)
    for number, (after, seated) in enumerate(answers, 1):
        assert seated and after.version == 1 + number
        assert [m.player_id for m in after.members] == players[:number]


async def test_a_refused_rule_leaves_the_others_in_its_round_alone(
    database: Database, sessions: SessionStore
) -> None:
    players = await add_players(database, 2)
    await sessions.create(a_session())

    def broken(session: Session) -> None:
        session.name = "half done"
        raise ZeroDivisionError

    answers = await asyncio.gather(
        sessions.change("s", lambda s: s.join([players[0]], None, LATER)),
        sessions.change("s", broken),
        sessions.change("s", lambda s: s.change({"status": "active"}, LATER)),
        sessions.change("s", lambda s: s.join(["nobody"], None, LATER)),
        sessions.change("s", lambda s: s.join([players[1]], None, LATER)),
        return_exceptions=True,
    )
    assert isinstance(answers[1], ZeroDivisionError)
    assert [getattr(a, "code", None) for a in answers[2:4]] == [
        "illegal_transition",
        "player_not_found",
    ]
    session = await sessions.get("s")
    assert (session.name, session.version) == ("Friday duel", 3)
    assert [m.player_id for m in session.members] == players


async def test_what_changes_nothing_is_not_written(
    database: Database, sessions: SessionStore, guard: DocumentDbGuard
) -> None:
    (player,) = await add_players(database, 1)
    await sessions.create(a_session(player))
    guard.forget()
    await joins(sessions, "s", [player])
    await sessions.change("s", lambda s: s.change({"name": "Friday duel"}, LATER))
    with pytest.raises(SessionFull):
        await sessions.change("s", lambda s: s.join([f"x{n}" for n in range(9)], None, LATER))
    assert writes(guard) == 0


async def test_an_unknown_session_refuses_everyone_who_waits(sessions: SessionStore) -> None:
    answers = await joins(sessions, "nope", ["a", "b"])
    assert all(isinstance(answer, SessionNotFound) for answer in answers)


async def test_stores_that_share_a_session_lose_nothing(uri: str, database: Database) -> None:
    """Stores of their own, as in several processes, on one session."""
    players = await add_players(database, 90)
    async with connect(uri) as one, connect(uri) as two, connect(uri) as three:
        stores = [
            SessionStore(c.get_default_database(), Claims(c.get_default_database()), Metrics())
            for c in (one, two, three)
        ]
        await stores[0].create(a_session(max_players=64))
        answers = await asyncio.gather(
            *(joins(store, "s", players[number::3]) for number, store in enumerate(stores))
        )
        seated = [a for batch in answers for a in batch if not isinstance(a, BaseException)]
        refused = [a for batch in answers for a in batch if isinstance(a, BaseException)]
        assert len(seated) == 64
        assert {type(error) for error in refused} == {SessionFull}
        session = await stores[0].get("s")
        assert session.version == 65
        assert sorted(after.version for after, _ in seated) == list(range(2, 66))
    await assert_consistent(database)


async def assert_consistent(database: Database) -> None:
    """What holds when nothing is under way, whatever happened before."""
    claims = {doc["_id"]: doc["session_id"] async for doc in database.players.find()}
    seats: dict[str, str] = {}
    async for document in database.sessions.find({"version": {"$exists": True}}):
        session = Session.model_validate_doc(document)
        names = [m.player_id for m in session.members]
        assert len(names) == len(set(names)) <= session.max_players
        assert session.free_slots == session.max_players - len(names)
        for name in names if session.live else ():
            assert name not in seats, f"{name} sits in {seats[name]} and in {session.id}"
            seats[name] = session.id
            assert claims[name] == session.id


async def test_a_player_wanted_by_many_sessions_at_once_gets_one_seat(
    uri: str, database: Database
) -> None:
    """The race that claims are for: the same players, several sessions, several processes."""
    players = await add_players(database, 12)
    async with connect(uri) as one, connect(uri) as two:
        stores = [
            SessionStore(c.get_default_database(), Claims(c.get_default_database()), Metrics())
            for c in (one, two)
        ]
        ids = [f"s{n}" for n in range(4)]
        for session_id in ids:
            await stores[0].create(a_session(id=session_id, max_players=12))
        attempts = [(store, i, p) for p in players for i in ids for store in stores]
        answers = await asyncio.gather(
            *(store.change(i, joining(p)) for store, i, p in attempts),
            return_exceptions=True,
        )
    won: dict[str, set[str]] = {p: set() for p in players}
    for (_, session_id, player), answer in zip(attempts, answers, strict=True):
        if isinstance(answer, BaseException):
            assert isinstance(answer, AlreadyInSession), answer
        else:
            won[player].add(session_id)
    assert all(len(where) == 1 for where in won.values()), won
    await assert_consistent(database)


async def test_players_who_hop_between_sessions_end_on_one_seat(
    uri: str, database: Database
) -> None:
    """Joins, leaves, parties, ends and deletions of the same players, from two stores at once."""
    players = await add_players(database, 8)
    async with connect(uri) as one, connect(uri) as two:
        databases = [one.get_default_database(), two.get_default_database()]
        stores = [SessionStore(d, Claims(d), Metrics()) for d in databases]
        ids = [f"s{n}" for n in range(3)]
        for session_id in ids:
            await stores[0].create(a_session(id=session_id, max_players=8))

        async def hop(number: int) -> None:
            store = stores[number % 2]
            player = players[number % len(players)]
            for step in range(12):
                session_id = ids[(number * 7 + step * 5) % 3]
                party = [player, players[(number + step) % len(players)]]
                try:
                    if step % 4 == 3:
                        await store.change(session_id, lambda s: s.leave(player, LATER))
                    elif step % 4 == 1 and party[0] != party[1]:
                        await store.change(session_id, lambda s: s.join(party, None, LATER))
                    else:
                        await store.change(session_id, lambda s: s.join([player], None, LATER))
                except ApiError as error:
                    assert error.status == 409, error

        await asyncio.gather(*(hop(number) for number in range(16)))
        await assert_consistent(database)
        for session_id in ids:
            await stores[0].change(session_id, lambda s: s.change({"status": "cancelled"}, LATER))
        await stores[1].create(a_session(*players, id="last", max_players=8))
        await assert_consistent(database)


async def test_a_deletion_and_a_join_at_once_never_leave_a_ghost(
    database: Database, players: PlayerStore, sessions: SessionStore
) -> None:
    names = await add_players(database, 20)
    await sessions.create(a_session(max_players=20))
    deletions = [players.delete(name, Precondition(None)) for name in names]
    answers, joined = await asyncio.gather(
        asyncio.gather(*deletions, return_exceptions=True), joins(sessions, "s", names)
    )
    seated = {m.player_id for m in (await sessions.get("s")).members}
    for name, deleted, answer in zip(names, answers, joined, strict=True):
        if name in seated:
            assert getattr(deleted, "code", None) == "in_session"
            assert not isinstance(answer, BaseException)
        else:
            assert deleted is None and isinstance(answer, PlayerNotFound)
    await assert_consistent(database)


async def test_concurrent_player_changes_are_all_kept(
    database: Database, players: PlayerStore
) -> None:
    await players.create(a_player("ada"))
    changes: list[Any] = [
        {"rating": 5},
        {"region": "eu"},
        {"display_name": "A"},
        {"username": "x1"},
    ]
    await asyncio.gather(
        *(players.update("ada", change, Precondition(None), LATER) for change in changes)
    )
    player = await players.get("ada")
    assert (player.rating, player.region, player.display_name, player.username_key) == (
        (5, "eu", "A", "x1")
    )
    assert player.version == 5


async def test_the_same_username_at_once_is_taken_once(
    database: Database, players: PlayerStore
) -> None:
    new = [a_player(f"p{n}", username="Ada", username_key="ada") for n in range(10)]
    answers = await asyncio.gather(*map(players.create, new), return_exceptions=True)
    assert sum(answer is None for answer in answers) == 1
    assert {getattr(a, "code", None) for a in answers if a} == {"username_taken"}


async def test_a_caller_who_goes_away_does_not_stop_the_others(
    database: Database, sessions: SessionStore
) -> None:
    players = await add_players(database, 2)
    await sessions.create(a_session())
    gone = asyncio.ensure_future(joins(sessions, "s", players[:1]))
    stays = asyncio.ensure_future(joins(sessions, "s", players[1:]))
    await asyncio.sleep(0)
    gone.cancel()
    ((after, seated),) = await stays
    assert seated and after.member(players[1])


def test_a_filter_reads_a_value_in_every_way_it_can_be_meant() -> None:
    assert readings("5") == ["5", 5]
    assert readings("-5.50e1") == ["-5.50e1", -55.0]
    assert readings("true") == ["true", True]
    assert readings(str(2**63)) == [str(2**63), float(2**63)]
    for text in ("", " 5", "05", "5.", "1e999", "NaN", "Infinity", "0x5", "\u0665"):
        assert readings(text) == [text]


def test_a_filter_never_lists_private_sessions() -> None:
    assert SessionFilter().query() == {"visibility": "public"}
