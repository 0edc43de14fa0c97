"""Group commit: many changes need few writes, and each caller gets its own answer."""

import asyncio
from collections.abc import Callable
from typing import Any

import pymongo
import pytest
from bson.errors import InvalidStringData
from pymongo.errors import AutoReconnect

from game_api.access.caller import SYSTEM
from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.errors import DatabaseUnavailable
from game_api.observability.logs import current_request_id
from game_api.observability.metrics import CONFLICTS_RETRIED, Metrics
from game_api.seats.claims import Claims
from game_api.sessions import group_commit, rounds
from game_api.sessions import store as store_module
from game_api.sessions.errors import SessionFull, SessionNotFound
from game_api.sessions.group_commit import RoundFailed
from game_api.sessions.model import Events, Session
from game_api.sessions.store import SessionStore
from tests.aws import total
from tests.build import LATER, a_session
from tests.database.collections import Collections
from tests.documentdb import DocumentDbGuard
from tests.observability.readers import documents_of
from tests.sessions.checks import add_players, joins, stored


def writes(guard: DocumentDbGuard) -> int:
    return guard.count["update", "sessions"]


def rename(name: str) -> Callable[[Session], Events]:
    return lambda session: session.change({"name": name}, SYSTEM, LATER)


async def test_a_thousand_joins_for_64_seats_need_few_commands(
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
    session = await stored(sessions, "s")
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


async def test_a_refused_rule_does_not_affect_the_others_in_its_round(
    database: Database, sessions: SessionStore
) -> None:
    players = await add_players(database, 2)
    await sessions.create(a_session())

    def broken(session: Session) -> None:
        session.name = "half done"
        raise ZeroDivisionError

    answers = await asyncio.gather(
        sessions.change("s", lambda s: s.join([players[0]], None, SYSTEM, LATER)),
        sessions.change("s", broken),
        sessions.change("s", lambda s: s.change({"status": "active"}, SYSTEM, LATER)),
        sessions.change("s", lambda s: s.join(["nobody"], None, SYSTEM, LATER)),
        sessions.change("s", lambda s: s.join([players[1]], None, SYSTEM, LATER)),
        return_exceptions=True,
    )
    assert isinstance(answers[1], ZeroDivisionError)
    assert [getattr(a, "code", None) for a in answers[2:4]] == [
        "illegal_transition",
        "player_not_found",
    ]
    session = await stored(sessions, "s")
    assert (session.name, session.version) == ("Friday duel", 3)
    assert [m.player_id for m in session.members] == players


async def test_a_rule_that_changes_nothing_is_not_written(
    database: Database, sessions: SessionStore, guard: DocumentDbGuard
) -> None:
    (player,) = await add_players(database, 1)
    await sessions.create(a_session(player))
    guard.forget()
    await joins(sessions, "s", [player])
    await sessions.change("s", lambda s: s.change({"name": "Friday duel"}, SYSTEM, LATER))
    with pytest.raises(SessionFull):
        await sessions.change(
            "s", lambda s: s.join([f"x{n}" for n in range(9)], None, SYSTEM, LATER)
        )
    assert writes(guard) == 0


async def test_an_unknown_session_is_reported_to_every_caller(sessions: SessionStore) -> None:
    answers = await joins(sessions, "nope", ["a", "b"])
    assert all(isinstance(answer, SessionNotFound) for answer in answers)


async def test_a_cancelled_caller_does_not_affect_the_others(
    database: Database, sessions: SessionStore
) -> None:
    players = await add_players(database, 2)
    await sessions.create(a_session())
    cancelled = asyncio.ensure_future(joins(sessions, "s", players[:1]))
    other = asyncio.ensure_future(joins(sessions, "s", players[1:]))
    await asyncio.sleep(0)  # Both changes begin to wait for the round.
    cancelled.cancel()
    ((after, seated),) = await other
    assert seated and after.member(players[1])


async def test_waiting_changes_fail_together_with_the_round(
    connection: Connection, claims: Claims, metrics: Metrics, sessions: SessionStore
) -> None:
    """They would meet the same failure, so they do not wait for another deadline."""
    await sessions.create(a_session())
    loading, proceed = asyncio.Event(), asyncio.Event()
    loads = 0

    async def find_one(collection: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal loads
        loads += 1
        loading.set()
        await proceed.wait()
        raise AutoReconnect("connection reset by peer")

    broken = SessionStore(Collections(connection, sessions={"find_one": find_one}), claims, metrics)
    first = asyncio.create_task(broken.change("s", rename("first")))
    await loading.wait()
    others = [asyncio.create_task(broken.change("s", rename(f"{n}"))) for n in range(3)]
    await asyncio.sleep(0)  # The other changes begin to wait for the next round.
    proceed.set()
    answers = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 4
    assert len({id(answer) for answer in answers}) == 4  # Each request has its own exception.
    causes = [answer.__cause__ for answer in answers if isinstance(answer, BaseException)]
    assert [type(cause) for cause in causes] == [AutoReconnect] * 4
    assert loads == 1


async def test_a_change_that_can_not_be_written_fails_alone(
    sessions: SessionStore, guard: DocumentDbGuard
) -> None:
    await sessions.create(a_session())

    def unwritable(session: Session) -> None:
        session.attributes = {"text": "\ud800"}  # It has no UTF-8 encoding.
        session.version += 1

    answers = await asyncio.gather(
        *(sessions.change("s", rename(f"n{n}")) for n in range(5)),
        sessions.change("s", unwritable),
        *(sessions.change("s", rename(f"m{n}")) for n in range(5)),
        return_exceptions=True,
    )
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    assert failed == [answers[5]] and isinstance(failed[0], UnicodeEncodeError | InvalidStringData)
    versions = [answer[0].version for answer in answers if not isinstance(answer, BaseException)]
    assert versions == list(range(2, 12))
    session = await stored(sessions, "s")
    assert (session.name, session.version, session.attributes) == ("m4", 11, {})


async def test_an_unexpected_failure_gives_each_request_its_own_exception(
    database: Database, sessions: SessionStore
) -> None:
    await database.sessions.insert_one({"_id": "s", "version": 1})  # It can't be parsed.
    answers = await asyncio.gather(
        *(sessions.change("s", rename(f"n{n}")) for n in range(3)), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [RoundFailed] * 3
    assert len({id(answer) for answer in answers}) == 3


async def test_a_rule_may_write_without_a_new_version(sessions: SessionStore) -> None:
    await sessions.create(a_session())

    def touch(session: Session) -> None:
        session.attributes = {"seen": 1}
        session.touch()

    after, _ = await sessions.change("s", touch)
    session = await stored(sessions, "s")
    assert session.attributes == {"seen": 1}
    assert (after.version, session.version, session.revision) == (1, 1, 2)


async def test_an_abandoned_change_is_not_made(
    connection: Connection, claims: Claims, metrics: Metrics, sessions: SessionStore
) -> None:
    """Its request has been answered, so its change must not be made later."""
    await sessions.create(a_session())
    loading, proceed = asyncio.Event(), asyncio.Event()

    async def find_one(collection: Any, *arguments: Any, **options: Any) -> Any:
        loading.set()
        await proceed.wait()
        return await collection.find_one(*arguments, **options)

    store = SessionStore(Collections(connection, sessions={"find_one": find_one}), claims, metrics)
    first = asyncio.create_task(store.change("s", rename("first")))
    await loading.wait()
    second = asyncio.create_task(store.change("s", rename("second")))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    proceed.set()
    await store.aclose()
    assert (await stored(sessions, "s")).version == 1


async def test_a_round_does_not_inherit_the_context_of_its_first_caller(
    connection: Connection, claims: Claims, metrics: Metrics, sessions: SessionStore
) -> None:
    """It inherits neither the deadline nor the id of that request."""
    await sessions.create(a_session())
    remaining: list[float] = []
    request_ids: list[str | None] = []

    async def find_one(collection: Any, *arguments: Any, **options: Any) -> Any:
        remaining.append(pymongo._csot.remaining() or 0)
        request_ids.append(current_request_id.get())
        return await collection.find_one(*arguments, **options)

    watched = Collections(connection, sessions={"find_one": find_one})
    store = SessionStore(watched, claims, metrics)
    current_request_id.set("first")
    with pymongo.timeout(1):
        await store.change("s", rename("x"))
    assert request_ids == [None] and remaining[0] > 1


async def test_a_round_has_a_limited_number_of_changes(
    sessions: SessionStore, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_ROUND", 3)
    await sessions.create(a_session())
    answers = await asyncio.gather(*(sessions.change("s", rename(f"n{n}")) for n in range(8)))
    assert [session.version for session, _ in answers] == list(range(2, 10))
    sizes = [d["GroupCommitSize"] for d in documents_of(metrics) if "GroupCommitSize" in d]
    assert sizes == [[3, 3, 2]]


async def test_repeated_rounds_are_counted(
    connection: Connection, claims: Claims, metrics: Metrics, sessions: SessionStore
) -> None:
    await sessions.create(a_session())
    conflicts = 2

    async def replace_one(collection: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal conflicts
        if conflicts:
            conflicts -= 1
            await collection.update_one({"_id": "s"}, {"$inc": {"revision": 1}})
        return await collection.replace_one(*arguments, **options)

    contended = SessionStore(
        Collections(connection, sessions={"replace_one": replace_one}), claims, metrics
    )
    session, _ = await contended.change("s", rename("x"))
    assert (session.name, session.version) == ("x", 2)
    assert total(documents_of(metrics), CONFLICTS_RETRIED.name) == 2


async def test_the_release_of_claims_has_little_time_and_may_fail(
    database: Database, connection: Connection, metrics: Metrics, sessions: SessionStore
) -> None:
    """The seat is free anyway, and a claim without a seat does not block the player."""
    (player,) = await add_players(database, 1)
    await sessions.create(a_session(player))
    remaining: list[float] = []

    async def update_one(collection: Any, *arguments: Any, **options: Any) -> Any:
        remaining.append(pymongo._csot.remaining() or float("inf"))
        raise AutoReconnect("connection reset by peer")

    interrupted = Collections(connection, players={"update_one": update_one})
    store = SessionStore(interrupted, Claims(interrupted), metrics)
    session, _ = await store.change("s", lambda s: s.leave(player, SYSTEM, LATER))
    assert session.member(player) is None
    assert [seconds <= rounds.RELEASE_SECONDS for seconds in remaining] == [True]


async def test_a_change_that_waits_too_long_is_unavailable(
    connection: Connection,
    claims: Claims,
    metrics: Metrics,
    sessions: SessionStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The limit applies to any kind of waiting. A join that fails this way is counted."""
    await sessions.create(a_session())
    monkeypatch.setattr(group_commit, "DEADLINE", 0.05)
    monkeypatch.setattr(group_commit, "GRACE", 0.05)

    async def find_one(collection: Any, *arguments: Any, **options: Any) -> Any:
        await asyncio.Event().wait()

    hung = SessionStore(Collections(connection, sessions={"find_one": find_one}), claims, metrics)
    with pytest.raises(DatabaseUnavailable):
        await hung.join("s", lambda session: session.join(["ada"], None, SYSTEM, LATER))
    assert total(documents_of(metrics), "Joins", Outcome="database_unavailable") == 1


@pytest.mark.parametrize(
    ("deadline", "outcome"), [(0.05, "database_unavailable"), (60.0, "shutting_down")]
)
async def test_a_join_that_is_cancelled_is_counted_by_what_cancelled_it(
    connection: Connection,
    claims: Claims,
    metrics: Metrics,
    sessions: SessionStore,
    monkeypatch: pytest.MonkeyPatch,
    deadline: float,
    outcome: str,
) -> None:
    """Either the deadline of the request has passed, or the process shuts down."""
    await sessions.create(a_session())
    monkeypatch.setattr(store_module, "DEADLINE", deadline)
    proceed = asyncio.Event()

    async def find_one(collection: Any, *arguments: Any, **options: Any) -> Any:
        await proceed.wait()

    hung = SessionStore(Collections(connection, sessions={"find_one": find_one}), claims, metrics)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await hung.join("s", lambda session: session.join(["ada"], None, SYSTEM, LATER))
    assert total(documents_of(metrics), "Joins", Outcome=outcome) == 1
    proceed.set()
    await hung.aclose()


async def test_closing_the_store_waits_for_the_changes_in_progress(
    connection: Connection, claims: Claims, metrics: Metrics, sessions: SessionStore
) -> None:
    await sessions.create(a_session())
    writing, proceed = asyncio.Event(), asyncio.Event()

    async def replace_one(collection: Any, *arguments: Any, **options: Any) -> Any:
        writing.set()
        await proceed.wait()
        return await collection.replace_one(*arguments, **options)

    store = SessionStore(
        Collections(connection, sessions={"replace_one": replace_one}), claims, metrics
    )
    change = asyncio.create_task(store.change("s", rename("x")))
    await writing.wait()
    closing = asyncio.create_task(store.aclose())
    await asyncio.sleep(0)  # Closing begins.
    change.cancel()  # This ends the request of the caller, but not the round.
    assert not closing.done()
    proceed.set()
    await closing
    assert (await stored(sessions, "s")).name == "x"
