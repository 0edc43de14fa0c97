"""The benefit of group commit: 1,000 joins on a session with 64 seats, against a write per join."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.errors import ApiError
from game_api.observability.metrics import Metrics
from game_api.seats.claims import Claims
from game_api.sessions.errors import SessionFull
from game_api.sessions.group_commit import Round, load
from game_api.sessions.store import SessionStore
from tests.build import LATER, a_player, a_session
from tests.documentdb import DocumentDbGuard

JOINS, SEATS = 1000, 64

Join = Callable[[str], Awaitable[object]]


async def add_players(database: Database) -> list[str]:
    names = [f"p{number}" for number in range(JOINS)]
    for start in range(0, JOINS, 250):
        batch = names[start : start + 250]
        await database.players.insert_many([a_player(n).model_dump_doc() for n in batch])
    return names


async def measure(join: Join, players: list[str], guard: DocumentDbGuard) -> tuple[float, int]:
    """The seconds and commands that all joins take; exactly one join per seat succeeds."""
    guard.forget()
    started = time.perf_counter()
    answers = await asyncio.gather(*map(join, players), return_exceptions=True)
    seconds = time.perf_counter() - started
    assert sum(not isinstance(answer, BaseException) for answer in answers) == SEATS
    return seconds, sum(guard.count.values())


async def test_group_commit_against_a_write_for_each_join(
    database: Database,
    connection: Connection,
    sessions: SessionStore,
    claims: Claims,
    guard: DocumentDbGuard,
) -> None:
    """The other side uses the same rule, claims and guard, but one round for each join."""
    players = await add_players(database)
    for session_id in ("grouped", "single"):
        await sessions.create(a_session(id=session_id, max_players=SEATS))

    async def grouped(player: str) -> object:
        return await sessions.change("grouped", lambda s: s.join([player], None, LATER))

    turn = asyncio.Semaphore(10)  # The number of connections.

    async def single(player: str) -> object:
        async with turn:
            while True:
                join = [lambda session: session.join([player], None, LATER)]
                alone = Round(connection, claims, Metrics(), "single", join)
                plan = await alone.plan(await load(connection, "single"))
                if isinstance(plan.answers[0], ApiError):
                    raise SessionFull()
                if await alone.write(plan):
                    return plan
                await claims.release(alone.hold.unused(()))

    one = await measure(grouped, players, guard)
    await sessions.change("grouped", lambda s: s.change({"status": "cancelled"}, LATER))
    other = await measure(single, players, guard)
    print(
        f"\n{JOINS} joins, {SEATS} seats: group commit {one[0]:.2f} s, {one[1]} commands; "
        f"a write for each {other[0]:.2f} s, {other[1]} commands; ratio {other[0] / one[0]:.1f}"
    )
    assert one[1] * 20 < other[1]
