"""kill -9, of the service and of its database, in the middle of everything."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx2

from tests.service import Service

Start = Callable[..., Service]


class Load:
    """Clients that join, leave and come as parties until they are told to stop.

    `seats` holds what was acknowledged last for each player: the path of a session, or None. A
    player whose last request got no answer is in `unsure`: it may or may not have happened.
    """

    def __init__(self, address: str, players: list[str], paths: list[str]) -> None:
        self.client = httpx2.AsyncClient(base_url=address, timeout=30)
        self.players = players
        self.paths = paths
        self.seats: dict[str, str | None] = dict.fromkeys(players)
        self.unsure: set[str] = set()
        self.versions: dict[str, int] = {}
        self.acknowledged = 0
        self.stopped = False

    async def run(self) -> None:
        pairs = zip(self.players[::2], self.players[1::2], strict=True)
        await asyncio.gather(*(self.play(n, list(pair)) for n, pair in enumerate(pairs)))
        await self.client.aclose()

    async def play(self, number: int, pair: list[str]) -> None:
        """One pair of players: each alone, or both as a party."""
        chance = random.Random(number)
        while not self.stopped:
            path, kind = chance.choice(self.paths), chance.choice(["join", "leave", "party"])
            who = pair if kind == "party" else [chance.choice(pair)]
            if self.unsure & set(who):
                return  # what the next answer would mean is not known
            try:
                if kind == "join":
                    answer = await self.client.put(f"{path}/players/{who[0]}")
                elif kind == "leave":
                    answer = await self.client.delete(f"{path}/players/{who[0]}")
                else:
                    answer = await self.client.post(f"{path}/players", json={"player_ids": who})
            except httpx2.HTTPError:
                self.unsure |= set(who)
                continue
            if answer.status_code == 503:
                self.unsure |= set(who)
                continue
            self.note(kind, path, who, answer)

    def note(self, kind: str, path: str, who: list[str], answer: httpx2.Response) -> None:
        assert answer.status_code in (200, 201, 204, 409), answer.text
        self.acknowledged += 1
        if answer.status_code in (200, 201):
            self.seats |= dict.fromkeys(who, path)
            self.versions[path] = max(self.versions.get(path, 0), answer.json()["version"])
        elif answer.status_code == 204 and self.seats[who[0]] == path:
            self.seats[who[0]] = None


async def prepare(address: str) -> tuple[list[str], list[str]]:
    players = [f"p{number}" for number in range(24)]
    async with httpx2.AsyncClient(base_url=address, timeout=30) as client:
        for name in players:
            body = {"username": f"u-{name}", "player_id": name}
            assert (await client.post("/api/v1/players", json=body)).status_code == 201
        paths = []
        for _ in range(3):
            body_: dict[str, Any] = {"name": "s", "game_mode": "duel", "max_players": 16}
            made = (await client.post("/api/v1/sessions", json=body_)).json()
            paths.append(f"/api/v1/sessions/{made['session_id']}")
    return players, paths


async def assert_nothing_lost(address: str, load: Load) -> None:
    """Invariants hold, what was acknowledged is there, and every player gets a seat at once."""
    async with httpx2.AsyncClient(base_url=address, timeout=30) as client:
        seats: dict[str, str] = {}
        for path in load.paths:
            session = (await client.get(path)).json()
            names = [m["player_id"] for m in session["members"]]
            assert len(names) == len(set(names)) == session["player_count"]
            assert session["player_count"] + session["free_slots"] == session["max_players"] == 16
            assert session["version"] >= load.versions.get(path, 1)
            for name in names:
                assert name not in seats, f"{name} sits twice"
                seats[name] = path
        for player in load.players:
            if player not in load.unsure:
                assert seats.get(player) == load.seats[player], f"{player}: an answer was lost"
        for player in load.players:
            if player in seats:
                left = await client.delete(f"{seats[player]}/players/{player}")
                assert left.status_code == 204
        body = {"name": "last", "game_mode": "duel", "max_players": 24}
        made = (await client.post("/api/v1/sessions", json=body)).json()
        for player in load.players:
            answer = await client.put(f"/api/v1/sessions/{made['session_id']}/players/{player}")
            assert answer.status_code == 201, f"{player} is blocked: {answer.text}"


async def test_the_service_is_killed_and_nobody_is_lost_or_blocked(start_service: Start) -> None:
    service = start_service().wait_until_ready()
    players, paths = await prepare(service.address)
    for round_number in range(3):
        load = Load(service.address, players, paths)
        running = asyncio.create_task(load.run())
        await asyncio.sleep(0.6 + 0.37 * round_number)
        service.kill()
        load.stopped = True
        await running
        assert load.acknowledged > 20
        assert load.unsure, "the kill came between requests"
        service = start_service().wait_until_ready()
        await assert_nothing_lost(service.address, load)
        async with httpx2.AsyncClient(base_url=service.address) as client:
            listed = (await client.get("/api/v1/sessions?status=waiting")).json()["items"]
            for session in listed:
                if session["name"] == "last":
                    path = f"/api/v1/sessions/{session['session_id']}"
                    answer = await client.put(path, json={"status": "cancelled"})
                    assert answer.status_code == 200


async def test_the_database_is_killed_and_comes_back_with_every_answer(
    start_service: Start,
) -> None:
    service = start_service().wait_until_ready()
    players, paths = await prepare(service.address)
    load = Load(service.address, players, paths)
    running = asyncio.create_task(load.run())
    for _ in range(3):
        await asyncio.sleep(0.7)
        os.kill(service.database_process(), signal.SIGKILL)
        deadline = time.monotonic() + 15
        async with httpx2.AsyncClient(base_url=service.address, timeout=10) as client:
            await asyncio.sleep(0.1)
            while (await client.get("/health/ready")).status_code != 200:
                assert time.monotonic() < deadline, service.output
                await asyncio.sleep(0.1)
    load.stopped = True
    await running
    assert load.acknowledged > 20
    await assert_nothing_lost(service.address, load)
    assert service.terminate() == 0, service.output
