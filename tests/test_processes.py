"""Two processes of the service on one database: every invariant of the API, under load."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import pytest

from tests.service import Service

Start = Callable[..., Service]
Clients = list[httpx2.AsyncClient]


@pytest.fixture
async def clients(start_service: Start, service_database: str) -> AsyncIterator[Clients]:
    """A client for each of two processes."""
    services = [start_service(GAME_API_MONGODB_URI=service_database) for _ in range(2)]
    limits = httpx2.Limits(max_connections=250)
    opened = [
        httpx2.AsyncClient(base_url=s.wait_until_ready().address, limits=limits, timeout=60)
        for s in services
    ]
    yield opened
    for client in opened:
        await client.aclose()
    assert [service.terminate() for service in services] == [0, 0]


async def add_players(client: httpx2.AsyncClient, count: int) -> list[str]:
    names = [f"p{number}" for number in range(count)]
    for start in range(0, count, 50):
        bodies = [{"username": f"u-{n}", "player_id": n} for n in names[start : start + 50]]
        made = await asyncio.gather(*(client.post("/api/v1/players", json=b) for b in bodies))
        assert {response.status_code for response in made} == {201}
    return names


async def create(client: httpx2.AsyncClient, **fields: Any) -> str:
    body = {"name": "s", "game_mode": "duel", "max_players": 64} | fields
    response = await client.post("/api/v1/sessions", json=body)
    assert response.status_code == 201, response.text
    return f"/api/v1/sessions/{response.json()['session_id']}"


async def test_400_joins_in_two_processes_fill_64_seats_exactly(clients: Clients) -> None:
    players = await add_players(clients[0], 400)
    path = await create(clients[0])
    answers = await asyncio.gather(
        *(clients[n % 2].put(f"{path}/players/{p}") for n, p in enumerate(players))
    )
    codes = Counter(answer.status_code for answer in answers)
    assert codes == {201: 64, 409: 336}
    assert {a.json()["code"] for a in answers if a.status_code == 409} == {"session_full"}
    session = (await clients[1].get(path)).json()
    assert (session["version"], session["player_count"], session["free_slots"]) == (65, 64, 0)
    versions = sorted(a.json()["version"] for a in answers if a.status_code == 201)
    assert versions == list(range(2, 66)), "versions have gaps, or one is told twice"
    assert sum(c.startswith("p") for c in {m["player_id"] for m in session["members"]}) == 64


async def test_a_player_who_joins_everywhere_at_once_sits_once(clients: Clients) -> None:
    players = await add_players(clients[0], 6)
    paths = [await create(clients[0], max_players=6) for _ in range(4)]
    targets = [(c, p, n) for c in clients for p in paths for n in players]
    random.Random(1).shuffle(targets)
    answers = await asyncio.gather(*(c.put(f"{p}/players/{n}") for c, p, n in targets))
    assert all(a.status_code in (200, 201, 409) for a in answers)
    seats: Counter[str] = Counter()
    for path in paths:
        members = (await clients[0].get(path)).json()["members"]
        seats.update(member["player_id"] for member in members)
    assert seats == dict.fromkeys(players, 1)
    for player in players:
        found = (await clients[1].get(f"/api/v1/players/{player}/session")).json()
        assert player in {m["player_id"] for m in found["members"]}


async def test_parties_from_two_processes_come_whole(clients: Clients) -> None:
    players = await add_players(clients[0], 60)
    path = await create(clients[0], max_players=22)
    parties = [players[n : n + 5] for n in range(0, 60, 5)]
    answers = await asyncio.gather(
        *(
            clients[n % 2].post(f"{path}/players", json={"player_ids": party})
            for n, party in enumerate(parties)
        )
    )
    assert Counter(a.status_code for a in answers) == {200: 4, 409: 8}
    session = (await clients[0].get(path)).json()
    seated = [m["player_id"] for m in session["members"]]
    whole = [p for p, a in zip(parties, answers, strict=True) if a.status_code == 200]
    assert sorted(seated) == sorted(sum(whole, [])) and session["version"] == 5
    for party, answer in zip(parties, answers, strict=True):
        if answer.status_code == 409:
            gone = await clients[0].get(f"/api/v1/players/{party[0]}/session")
            assert gone.status_code == 404


async def test_every_change_is_one_version_and_none_is_lost(clients: Clients) -> None:
    """Joins, leaves, settings and readiness from both processes; the answers add up."""
    players = await add_players(clients[0], 16)
    path = await create(clients[0], max_players=16)

    async def act(number: int, player: str) -> list[int]:
        chance, versions = random.Random(number), []
        for step in range(15):
            client = clients[(number + step) % 2]
            kind = chance.choice(["join", "leave", "ready", "name"])
            if kind == "join":
                answer = await client.put(f"{path}/players/{player}")
                if answer.status_code == 201:
                    versions.append(answer.json()["version"])
            elif kind == "leave":
                answer = await client.delete(f"{path}/players/{player}")
            elif kind == "ready":
                body = {"ready": bool(step % 2)}
                answer = await client.patch(f"{path}/players/{player}", json=body)
            else:
                answer = await client.put(path, json={"name": f"{player} {step}"})
                versions.append(answer.json()["version"])
            assert answer.status_code < 500, answer.text
        return versions

    told = await asyncio.gather(*(act(n, p) for n, p in enumerate(players)))
    versions = sorted(sum(told, []))
    assert len(versions) == len(set(versions)), "two changes were told the same version"
    session = (await clients[1].get(path)).json()
    assert session["player_count"] + session["free_slots"] == session["max_players"]
    for player in players:
        seated = player in {m["player_id"] for m in session["members"]}
        found = await clients[0].get(f"/api/v1/players/{player}/session")
        assert found.status_code == (200 if seated else 404)


async def test_one_of_many_writers_with_the_same_version_wins(clients: Clients) -> None:
    path = await create(clients[0])
    for version in range(1, 4):
        answers = await asyncio.gather(
            *(
                clients[n % 2].put(
                    path, json={"name": f"n{n}-{version}"}, headers={"If-Match": f'"{version}"'}
                )
                for n in range(20)
            )
        )
        assert Counter(a.status_code for a in answers) == {200: 1, 412: 19}


async def test_the_status_machine_is_walked_once(clients: Clients) -> None:
    """Many ask for the same step at once: it is one version, whoever asks."""
    (player,) = await add_players(clients[0], 1)
    path = await create(clients[0], host_player_id=player)
    for version, status in enumerate(["starting", "active", "ended"], 2):
        answers = await asyncio.gather(
            *(clients[n % 2].put(path, json={"status": status}) for n in range(20))
        )
        assert {(a.status_code, a.json()["version"]) for a in answers} == {(200, version)}


async def test_the_same_username_is_taken_once(clients: Clients) -> None:
    answers = await asyncio.gather(
        *(clients[n % 2].post("/api/v1/players", json={"username": "Ada"}) for n in range(20))
    )
    assert Counter(a.status_code for a in answers) == {201: 1, 409: 19}
