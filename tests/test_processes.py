"""Two processes of the service on one database keep every invariant of the API under load."""

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
    clients = [
        httpx2.AsyncClient(base_url=s.wait_until_ready().address, limits=limits, timeout=60)
        for s in services
    ]
    yield clients
    for client in clients:
        await client.aclose()
    assert [service.terminate() for service in services] == [0, 0]


async def add_players(client: httpx2.AsyncClient, count: int) -> list[str]:
    """Create this number of players; returns their ids."""
    names = [f"p{number}" for number in range(count)]
    for start in range(0, count, 50):
        bodies = [{"username": f"u-{n}", "player_id": n} for n in names[start : start + 50]]
        responses = await asyncio.gather(*(client.post("/api/v1/players", json=b) for b in bodies))
        assert {response.status_code for response in responses} == {201}
    return names


async def create_session(client: httpx2.AsyncClient, **fields: Any) -> str:
    """Create a session; returns its path."""
    body = {"name": "s", "game_mode": "duel", "max_players": 64} | fields
    response = await client.post("/api/v1/sessions", json=body)
    assert response.status_code == 201, response.text
    return f"/api/v1/sessions/{response.json()['session_id']}"


async def test_400_joins_in_two_processes_fill_64_seats_exactly(clients: Clients) -> None:
    players = await add_players(clients[0], 400)
    path = await create_session(clients[0])
    responses = await asyncio.gather(
        *(clients[n % 2].put(f"{path}/players/{p}") for n, p in enumerate(players))
    )
    statuses = Counter(response.status_code for response in responses)
    assert statuses == {201: 64, 409: 336}
    assert {r.json()["code"] for r in responses if r.status_code == 409} == {"session_full"}
    session = (await clients[1].get(path)).json()
    assert (session["version"], session["player_count"], session["free_slots"]) == (65, 64, 0)
    versions = sorted(r.json()["version"] for r in responses if r.status_code == 201)
    assert versions == list(range(2, 66)), "a version is missing or was reported twice"
    assert sum(c.startswith("p") for c in {m["player_id"] for m in session["members"]}) == 64


async def test_a_player_who_joins_many_sessions_at_once_gets_one_seat(clients: Clients) -> None:
    players = await add_players(clients[0], 6)
    paths = [await create_session(clients[0], max_players=6) for _ in range(4)]
    targets = [(c, p, n) for c in clients for p in paths for n in players]
    random.Random(1).shuffle(targets)
    responses = await asyncio.gather(*(c.put(f"{p}/players/{n}") for c, p, n in targets))
    assert all(response.status_code in (200, 201, 409) for response in responses)
    seats: Counter[str] = Counter()
    for path in paths:
        members = (await clients[0].get(path)).json()["members"]
        seats.update(member["player_id"] for member in members)
    assert seats == dict.fromkeys(players, 1)
    for player in players:
        session = (await clients[1].get(f"/api/v1/players/{player}/session")).json()
        assert player in {m["player_id"] for m in session["members"]}


async def test_parties_from_two_processes_are_seated_completely_or_not_at_all(
    clients: Clients,
) -> None:
    players = await add_players(clients[0], 60)
    path = await create_session(clients[0], max_players=22)
    parties = [players[n : n + 5] for n in range(0, 60, 5)]
    responses = await asyncio.gather(
        *(
            clients[n % 2].post(f"{path}/players", json={"player_ids": party})
            for n, party in enumerate(parties)
        )
    )
    assert Counter(response.status_code for response in responses) == {200: 4, 409: 8}
    session = (await clients[0].get(path)).json()
    members = [member["player_id"] for member in session["members"]]
    seated = [p for p, r in zip(parties, responses, strict=True) if r.status_code == 200]
    assert sorted(members) == sorted(sum(seated, [])) and session["version"] == 5
    for party, response in zip(parties, responses, strict=True):
        if response.status_code == 409:
            response = await clients[0].get(f"/api/v1/players/{party[0]}/session")
            assert response.status_code == 404


async def test_each_change_has_its_own_version_and_none_is_lost(clients: Clients) -> None:
    """Players join, leave, get ready and rename the session through both processes."""
    players = await add_players(clients[0], 16)
    path = await create_session(clients[0], max_players=16)

    async def act(number: int, player: str) -> list[int]:
        """Make random changes; returns the versions of those that certainly changed something."""
        rng, versions = random.Random(number), []
        for step in range(15):
            client = clients[(number + step) % 2]
            action = rng.choice(["join", "leave", "ready", "name"])
            if action == "join":
                response = await client.put(f"{path}/players/{player}")
                if response.status_code == 201:
                    versions.append(response.json()["version"])
            elif action == "leave":
                response = await client.delete(f"{path}/players/{player}")
            elif action == "ready":
                body = {"ready": bool(step % 2)}
                response = await client.patch(f"{path}/players/{player}", json=body)
            else:
                response = await client.put(path, json={"name": f"{player} {step}"})
                versions.append(response.json()["version"])
            assert response.status_code < 500, response.text
        return versions

    reported = await asyncio.gather(*(act(n, p) for n, p in enumerate(players)))
    versions = sorted(sum(reported, []))
    assert len(versions) == len(set(versions)), "two changes were reported with the same version"
    session = (await clients[1].get(path)).json()
    assert session["player_count"] + session["free_slots"] == session["max_players"]
    for player in players:
        seated = player in {m["player_id"] for m in session["members"]}
        response = await clients[0].get(f"/api/v1/players/{player}/session")
        assert response.status_code == (200 if seated else 404)


async def test_one_of_many_writers_with_the_same_version_wins(clients: Clients) -> None:
    path = await create_session(clients[0])
    for version in range(1, 4):
        responses = await asyncio.gather(
            *(
                clients[n % 2].put(
                    path, json={"name": f"n{n}-{version}"}, headers={"If-Match": f'"{version}"'}
                )
                for n in range(20)
            )
        )
        assert Counter(response.status_code for response in responses) == {200: 1, 412: 19}


async def test_concurrent_requests_for_the_same_status_create_one_version(
    clients: Clients,
) -> None:
    (player,) = await add_players(clients[0], 1)
    path = await create_session(clients[0], host_player_id=player)
    for version, status in enumerate(["starting", "active", "ended"], 2):
        responses = await asyncio.gather(
            *(clients[n % 2].put(path, json={"status": status}) for n in range(20))
        )
        assert {(r.status_code, r.json()["version"]) for r in responses} == {(200, version)}


async def test_concurrent_creations_take_a_username_once(clients: Clients) -> None:
    responses = await asyncio.gather(
        *(clients[n % 2].post("/api/v1/players", json={"username": "Ada"}) for n in range(20))
    )
    assert Counter(response.status_code for response in responses) == {201: 1, 409: 19}


async def test_two_processes_that_get_one_key_at_once_create_once(clients: Clients) -> None:
    await add_players(clients[0], 50)
    bodies: list[tuple[str, dict[str, Any]]] = []
    for number in range(50):
        session = {"name": "s", "game_mode": "duel", "max_players": 2}
        bodies.append(("/api/v1/sessions", session | {"host_player_id": f"p{number}"}))
        bodies.append(("/api/v1/players", {"username": f"new-{number}"}))

    async def send(client: httpx2.AsyncClient, number: int) -> httpx2.Response:
        path, body = bodies[number]
        while True:
            headers = {"Idempotency-Key": f"key-{number}"}
            response = await client.post(path, json=body, headers=headers)
            if response.status_code != 409:
                return response
            assert response.json()["code"] == "request_in_progress"
            await asyncio.sleep(0.02)

    for number, (path, _) in enumerate(bodies):
        answers = await asyncio.gather(*(send(client, number) for client in clients * 2))
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        first = [a for a in answers if "idempotent-replayed" not in a.headers]
        assert len(first) == 1
    listed = (await clients[0].get("/api/v1/sessions?limit=100")).json()["items"]
    assert len(listed) == 50
    listed = (await clients[0].get("/api/v1/players?limit=100")).json()["items"]
    assert len(listed) == 100


async def test_the_lists_of_one_process_show_what_the_other_has_just_changed(
    clients: Clients,
) -> None:
    changing, listing = clients
    await add_players(changing, 1)
    path = await create_session(changing, host_player_id="p0")
    session_id = path.rpartition("/")[2]
    steps: list[tuple[dict[str, str], bool]] = [
        ({"status": "starting"}, True),
        ({"visibility": "private"}, False),
        ({"visibility": "public", "status": "active"}, True),
        ({"status": "ended"}, False),
    ]
    for changes, live in steps:
        assert (await changing.put(path, json=changes)).status_code == 200
        for query, listed in ("", live), ("status=ended", changes.get("status") == "ended"):
            found = (await listing.get(f"/api/v1/sessions?{query}")).json()["items"]
            assert [item["session_id"] for item in found] == [session_id] * listed, changes
