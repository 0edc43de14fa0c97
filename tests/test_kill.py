"""SIGKILL of the service or of its database while requests are in flight."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from typing import Any

import httpx2

from tests.service import Service, wait_for_end
from tests.waiting import wait_until_async

Start = Callable[..., Service]
SESSIONS = "/api/v1/sessions"


class Load:
    """Clients that join, leave and form parties until they are stopped.

    `seats` holds the last acknowledged state of each player: the path of a session, or None. A
    player whose last request got no response, or 503, is in `unsure`: the request may or may not
    have been executed.
    """

    def __init__(self, address: str, players: list[str], paths: list[str]) -> None:
        self.client = httpx2.AsyncClient(base_url=address, timeout=30)
        self.players = players
        self.paths = paths
        self.seats: dict[str, str | None] = dict.fromkeys(players)
        self.unsure: set[str] = set()
        self.versions: dict[str, int] = {}
        self.acknowledged = 0
        self._stopped = False
        self._running = asyncio.create_task(self._run())

    async def wait_for_responses(self, count: int) -> None:
        """Wait until the service has acknowledged this many more requests."""
        expected = self.acknowledged + count
        await wait_until_async(lambda: self.acknowledged >= expected or self._running.done())
        if self._running.done():
            await self._running
            raise AssertionError("every client has stopped, because all outcomes are unknown")

    async def stop(self) -> None:
        self._stopped = True
        await self._running
        await self.client.aclose()

    async def _run(self) -> None:
        pairs = zip(self.players[::2], self.players[1::2], strict=True)
        await asyncio.gather(*(self._play(n, list(pair)) for n, pair in enumerate(pairs)))

    async def _play(self, seed: int, pair: list[str]) -> None:
        """Send requests for two players: for one of them, or for both as a party."""
        rng = random.Random(seed)
        # After an unknown outcome, the next response would not tell where the player is seated.
        while not self._stopped and (known := [p for p in pair if p not in self.unsure]):
            path, action = rng.choice(self.paths), rng.choice(["join", "leave", "party"])
            player_ids = known if action == "party" else [rng.choice(known)]
            try:
                response = await self._send(action, path, player_ids)
            except httpx2.HTTPError:
                self.unsure |= set(player_ids)
                continue
            if response.status_code == 503:
                self.unsure |= set(player_ids)
                continue
            self._record(action, path, player_ids, response)

    async def _send(self, action: str, path: str, player_ids: list[str]) -> httpx2.Response:
        if action == "join":
            return await self.client.put(f"{path}/players/{player_ids[0]}")
        if action == "leave":
            return await self.client.delete(f"{path}/players/{player_ids[0]}")
        return await self.client.post(f"{path}/players", json={"player_ids": player_ids})

    def _record(
        self, action: str, path: str, player_ids: list[str], response: httpx2.Response
    ) -> None:
        assert response.status_code in (200, 201, 204, 409), response.text
        self.acknowledged += 1
        if response.status_code in (200, 201):
            self.seats |= dict.fromkeys(player_ids, path)
            self.versions[path] = max(self.versions.get(path, 0), response.json()["version"])
        elif response.status_code == 204 and self.seats[player_ids[0]] == path:
            self.seats[player_ids[0]] = None


async def create_session(client: httpx2.AsyncClient, name: str, max_players: int) -> str:
    """Create a session; returns its path."""
    body: dict[str, Any] = {"name": name, "game_mode": "duel", "max_players": max_players}
    session = (await client.post(SESSIONS, json=body)).json()
    return f"{SESSIONS}/{session['session_id']}"


async def prepare(address: str) -> tuple[list[str], list[str]]:
    """Create players and sessions; returns the ids of the players and the paths of the sessions."""
    players = [f"p{number}" for number in range(24)]
    async with httpx2.AsyncClient(base_url=address, timeout=30) as client:
        for name in players:
            body = {"username": f"u-{name}", "player_id": name}
            assert (await client.post("/api/v1/players", json=body)).status_code == 201
        paths = [await create_session(client, "s", max_players=16) for _ in range(3)]
    return players, paths


async def assert_nothing_lost(address: str, load: Load) -> None:
    """Assert that invariants hold, that no acknowledged change is lost and no player is blocked.

    To show the latter, all players leave their sessions and join a new one, which ends afterwards.
    """
    async with httpx2.AsyncClient(base_url=address, timeout=30) as client:
        seats: dict[str, str] = {}
        for path in load.paths:
            session = (await client.get(path)).json()
            names = [member["player_id"] for member in session["members"]]
            assert len(names) == len(set(names)) == session["player_count"]
            assert session["player_count"] + session["free_slots"] == session["max_players"] == 16
            assert session["version"] >= load.versions.get(path, 1)
            for name in names:
                assert name not in seats, f"{name} has two seats"
                seats[name] = path
        for player in load.players:
            if player not in load.unsure:
                assert seats.get(player) == load.seats[player], f"{player}: a change was lost"
        for player, path in seats.items():
            assert (await client.delete(f"{path}/players/{player}")).status_code == 204
        last = await create_session(client, "last", max_players=24)
        for player in load.players:
            response = await client.put(f"{last}/players/{player}")
            assert response.status_code == 201, f"{player} is blocked: {response.text}"
        assert (await client.put(last, json={"status": "cancelled"})).status_code == 200


async def test_a_killed_service_loses_no_change_and_blocks_no_player(start_service: Start) -> None:
    service = start_service().wait_until_ready()
    players, paths = await prepare(service.address)
    for round_number in range(3):
        load = Load(service.address, players, paths)
        await load.wait_for_responses(40 + 25 * round_number)  # Each kill comes at another moment.
        service.kill()
        await load.stop()
        assert load.unsure, "no request was in flight when the service was killed"
        service = start_service().wait_until_ready()
        await assert_nothing_lost(service.address, load)


async def test_a_killed_database_is_restarted_and_loses_no_acknowledged_change(
    start_service: Start,
) -> None:
    service = start_service().wait_until_ready()
    players, paths = await prepare(service.address)
    load = Load(service.address, players, paths)
    for _ in range(3):
        await load.wait_for_responses(40)
        database = service.database_process()
        os.kill(database, signal.SIGKILL)
        assert wait_for_end(database)
        await asyncio.to_thread(service.wait_for_readiness, 200)
    await load.stop()
    await assert_nothing_lost(service.address, load)
    assert service.terminate() == 0, service.output
