"""Group commit, compared with one write for each join: 1,000 joins for 64 seats."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from game_api.access.caller import SYSTEM
from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.errors import ApiError
from game_api.seats.claims import Claims
from game_api.sessions.errors import SessionFull
from game_api.sessions.rounds import load
from game_api.sessions.store import SessionStore
from tests.build import LATER, a_player, a_session
from tests.documentdb import DocumentDbGuard
from tests.sessions.checks import a_round

JOINS, SEATS = 1000, 64

Join = Callable[[str], Awaitable[object]]


async def add_players(database: Database, prefix: str) -> list[str]:
    names = [f"{prefix}{number}" for number in range(JOINS)]
    for start in range(0, JOINS, 250):
        batch = names[start : start + 250]
        await database.players.insert_many([a_player(n).model_dump_doc() for n in batch])
    return names


async def measure(join: Join, players: list[str], guard: DocumentDbGuard) -> tuple[float, int]:
    """The seconds and the commands that all joins take. Asserts that one join per seat succeeds."""
    guard.forget()
    started = time.perf_counter()
    answers = await asyncio.gather(*map(join, players), return_exceptions=True)
    seconds = time.perf_counter() - started
    assert sum(not isinstance(answer, BaseException) for answer in answers) == SEATS
    return seconds, sum(guard.count.values())


async def test_group_commit_needs_fewer_commands_than_a_write_for_each_join(
    database: Database,
    connection: Connection,
    sessions: SessionStore,
    claims: Claims,
    guard: DocumentDbGuard,
) -> None:
    """Without group commit, the rule, claims and guard are the same, but each join has a round."""
    for session_id in ("grouped", "single"):
        await sessions.create(a_session(id=session_id, max_players=SEATS))

    async def grouped(player: str) -> object:
        return await sessions.change("grouped", lambda s: s.join([player], None, SYSTEM, LATER))

    connections = asyncio.Semaphore(10)  # As many as the driver opens.

    async def single(player: str) -> object:
        async with connections:
            while True:
                join_round = a_round(
                    connection, claims, "single", lambda s: s.join([player], None, SYSTEM, LATER)
                )
                plan = await join_round.make_plan(await load(connection, "single"))
                if isinstance(plan.answers[0], ApiError):
                    raise SessionFull()
                if await join_round.write(plan):
                    return plan
                await claims.release(join_round.hold, join_round.hold.tokens)

    seconds, commands = await measure(grouped, await add_players(database, "g"), guard)
    single_seconds, single_commands = await measure(single, await add_players(database, "s"), guard)
    print(
        f"\n{JOINS} joins for {SEATS} seats: {seconds:.2f} s and {commands} commands with group "
        f"commit; {single_seconds:.2f} s and {single_commands} commands with a write for each; "
        f"the ratio of the times is {single_seconds / seconds:.1f}"
    )
    assert commands * 20 < single_commands
