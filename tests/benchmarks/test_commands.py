"""The number of database commands that contended operations need. Counts do not depend on speed."""

import asyncio
from collections import Counter

import httpx2

from game_api.access.caller import SYSTEM
from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.observability.metrics import Metrics
from game_api.seats.claims import Claims, Hold
from game_api.sessions.errors import AlreadyInSession
from game_api.sessions.model import Session
from game_api.sessions.store import SessionStore
from tests.build import LATER, a_session
from tests.documentdb import DocumentDbGuard
from tests.sessions.checks import add_players, joins


async def join(store: SessionStore, session_id: str, players: list[str]) -> Session:
    session, _ = await store.change(session_id, lambda s: s.join(players, None, SYSTEM, LATER))
    return session


async def test_a_hot_session_needs_three_commands(
    database: Database, sessions: SessionStore, guard: DocumentDbGuard
) -> None:
    players = await add_players(database, 1000)
    await sessions.create(a_session(max_players=64))
    guard.forget()
    await joins(sessions, "s", players)
    print(f"\n1,000 joins for 64 seats: {sum(guard.count.values())} commands")
    assert sum(guard.count.values()) == 3, guard.count


async def test_an_abandoned_party_needs_as_few_commands_as_a_player(
    database: Database, sessions: SessionStore, claims: Claims, guard: DocumentDbGuard
) -> None:
    counts = []
    for size in (1, 64):
        players = await add_players(database, size, prefix=f"party{size}-")
        for session_id in ("a", "b"):
            await sessions.create(a_session(id=f"{session_id}{size}", max_players=64))
        await claims.take(Hold(f"a{size}"), players)  # The process dies here.
        guard.forget()
        await join(sessions, f"b{size}", players)
        counts.append(sum(guard.count.values()))
    print(f"\na player and a party of 64 whose claims were abandoned: {counts} commands")
    assert max(counts) <= 16


async def test_two_parties_that_share_players_need_few_commands(
    database: Database, connection: Connection, sessions: SessionStore, guard: DocumentDbGuard
) -> None:
    players = await add_players(database, 96)
    for session_id in ("a", "b"):
        await sessions.create(a_session(id=session_id, max_players=64))
    other = SessionStore(connection, Claims(connection), Metrics())
    guard.forget()
    answers = await asyncio.gather(
        join(sessions, "a", players[:64]),
        join(other, "b", players[32:]),
        return_exceptions=True,
    )
    count = sum(guard.count.values())
    print(f"\ntwo parties of 64 that share 32 players: {count} commands")
    refused = [answer for answer in answers if not isinstance(answer, Session)]
    assert [type(answer) for answer in refused] == [AlreadyInSession], answers
    assert count <= 60, guard.count


async def test_a_key_costs_two_commands(api: httpx2.AsyncClient, guard: DocumentDbGuard) -> None:
    async def commands(player_id: str, headers: dict[str, str]) -> Counter[tuple[str, str]]:
        """The commands that create a player, and a session with this player as the host."""
        guard.forget()
        session = {"name": "s", "game_mode": "duel", "max_players": 2, "host_player_id": player_id}
        player = {"player_id": player_id, "username": player_id}
        for path, body in (("/api/v1/players", player), ("/api/v1/sessions", session)):
            response = await api.post(path, json=body, headers=headers)
            assert response.status_code == 201
        del guard.count["aggregate", "sessions"]  # The metrics count the sessions.
        return guard.count.copy()

    plain = await commands("ada", {})
    keyed = await commands("bob", {"Idempotency-Key": "k"})
    print(f"\na player and a session: {plain.total()} commands, with a key {keyed.total()}")
    extra = {("insert", "keyed_requests"): 2, ("update", "keyed_requests"): 2}
    assert keyed == plain + Counter(extra)
