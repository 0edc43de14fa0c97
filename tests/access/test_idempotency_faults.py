"""Keyed requests whose process dies, whose responses are lost, or that are sent twice at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from game_api.access.caller import SYSTEM
from game_api.access.creation import Creation
from game_api.access.idempotency import LEASE
from game_api.app import create_app
from game_api.clock import utc_now
from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.database.embedded import EmbeddedDatabase
from game_api.errors import DatabaseUnavailable
from game_api.http.preconditions import Precondition
from game_api.observability.metrics import Metrics
from game_api.players.errors import UsernameTaken
from game_api.players.model import Player, PlayerProfile
from game_api.players.store import PlayerStore
from game_api.runtime import Runtime
from game_api.seats.claims import Claims
from game_api.sessions.store import SessionStore
from tests.apps import running
from tests.build import LATER, NOW, a_player, a_session
from tests.chaos.relay import Aim, FaultKind, Link, Relay, running_relay
from tests.database.collections import Collections, LostResponse
from tests.service import Service
from tests.waiting import wait_until_async

Api = httpx2.AsyncClient
Start = Callable[..., Service]

KEY = {"Idempotency-Key": "k"}
ANY_VERSION = Precondition().check


@dataclass(frozen=True)
class Case:
    """A creation, and one of the commands that it sends."""

    kind: str
    body: dict[str, Any]
    command: str
    collection: str

    def __str__(self) -> str:
        return f"{self.command} {self.collection} of {self.kind}"


PLAYER = {"username": "new"}
SESSION = {"name": "s", "game_mode": "duel", "max_players": 2, "host_player_id": "hal"}
CASES = [
    Case("players", PLAYER, "insert", "keyed_requests"),
    Case("players", PLAYER, "insert", "players"),
    Case("players", PLAYER, "update", "keyed_requests"),
    Case("sessions", SESSION, "insert", "keyed_requests"),
    Case("sessions", SESSION, "update", "players"),
    Case("sessions", SESSION, "insert", "sessions"),
    Case("sessions", SESSION, "update", "keyed_requests"),
]


@pytest.fixture
async def relay(server: EmbeddedDatabase) -> AsyncIterator[Relay]:
    async with running_relay(server.port) as relay:
        yield relay


@pytest.fixture
async def link(relay: Relay) -> Link:
    return await relay.add_link()


@pytest.fixture
async def relayed(link: Link, database: Database, runtime: Runtime) -> AsyncIterator[Api]:
    """A client of an app whose database is behind the relay."""
    async with running(create_app(runtime, link.uri(database.name))) as app:
        yield app.client


@pytest.fixture
async def hal(api: Api) -> None:
    """The host of the sessions."""
    body = {"player_id": "hal", "username": "hal"}
    assert (await api.post("/api/v1/players", json=body)).status_code == 201


async def repeat(client: Api, kind: str, body: dict[str, Any]) -> httpx2.Response:
    """Send the request until it is answered for good, as a client does."""
    async with asyncio.timeout(30):
        while True:
            response = await client.post(f"/api/v1/{kind}", json=body, headers=KEY)
            in_progress = '"request_in_progress"' in response.text
            if response.status_code != 503 and not in_progress:
                return response
            await asyncio.sleep(0.05)


async def assert_created_once(database: Database, kind: str, response: httpx2.Response) -> None:
    """The response shows the only resource, and a host is claimed with the token of the seat."""
    assert response.status_code == 201, response.text
    ids = [d["_id"] for d in await database[kind].find({"version": {"$gt": 0}}).to_list()]
    assert [i for i in ids if i != "hal"] == [response.json()[f"{kind[:-1]}_id"]]
    hal = await database.players.find_one({"_id": "hal"})
    session = await database.sessions.find_one({"members.player_id": "hal"})
    assert hal and (session is not None) == (kind == "sessions")
    if session is not None:
        assert (hal["session_id"], hal["claim"]) == (session["_id"], session["members"][0]["claim"])


@pytest.mark.parametrize("fault", ["cut before", "cut after", "deliver late"])
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_lost_response_never_creates_twice(
    relay: Relay, relayed: Api, hal: None, database: Database, case: Case, fault: FaultKind
) -> None:
    aim = relay.arm(Aim(fault, case.command, case.collection, seconds=0.1))
    response = await repeat(relayed, case.kind, case.body)
    assert aim.faults
    await relay.wait_until_idle()
    await assert_created_once(database, case.kind, response)
    again = await repeat(relayed, case.kind, case.body)
    assert again.content == response.content and again.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize("late", [False, True], ids=["in time", "late"])
@pytest.mark.parametrize("case", CASES, ids=str)
async def test_a_killed_process_never_creates_twice(
    relay: Relay,
    link: Link,
    start_service: Start,
    api: Api,
    hal: None,
    database: Database,
    case: Case,
    late: bool,
) -> None:
    """Its last command arrives before or after the request is repeated with another process."""
    service = start_service(GAME_API_MONGODB_URI=link.uri(database.name)).wait_until_ready()
    aim = relay.arm(Aim("hold", case.command, case.collection, link, seconds=60))
    async with httpx2.AsyncClient(base_url=service.address) as client:
        path = f"/api/v1/{case.kind}"
        request = asyncio.create_task(client.post(path, json=case.body, headers=KEY))
        async with asyncio.timeout(20):
            while not aim.faults:
                await asyncio.sleep(0.01)
        service.kill()
        with pytest.raises(httpx2.HTTPError):
            await request
    if not late:
        relay.disarm()
        await relay.wait_until_idle()
    await database.keyed_requests.update_many(
        {"answer": None}, {"$set": {"lease_until": utc_now() - timedelta(seconds=1)}}
    )
    response = await repeat(api, case.kind, case.body)
    relay.disarm()
    await relay.wait_until_idle()
    await assert_created_once(database, case.kind, response)


async def test_attempts_at_once_on_a_slow_database_create_once(
    relay: Relay, relayed: Api, api: Api, hal: None, database: Database
) -> None:
    """The lease of each attempt is taken for over, as if its process were paused."""
    relay.latency = 0.025
    expiring = True

    async def expire() -> None:
        while expiring:
            await database.keyed_requests.update_many(
                {"answer": None}, {"$set": {"lease_until": utc_now() - timedelta(seconds=1)}}
            )
            await asyncio.sleep(0.005)

    expiry = asyncio.create_task(expire())
    answers = await asyncio.gather(
        *(repeat(client, "sessions", SESSION) for client in (relayed, api) for _ in range(4))
    )
    expiring = False
    await expiry
    assert len({answer.content for answer in answers}) == 1
    await assert_created_once(database, "sessions", answers[0])


async def test_a_request_that_times_out_can_be_repeated_at_once(
    relay: Relay, relayed: Api, hal: None, database: Database
) -> None:
    """The lease ends with the request, although its deadline has passed."""
    relay.arm(Aim("hold", "insert", "sessions", seconds=60))
    response = await relayed.post("/api/v1/sessions", json=SESSION, headers=KEY)
    assert response.status_code == 503

    async def released() -> bool:
        record = await database.keyed_requests.find_one({"answer": None})
        return bool(record and record["lease_until"] < record["started_at"] + LEASE)

    await wait_until_async(released)
    relay.disarm()
    await assert_created_once(database, "sessions", await repeat(relayed, "sessions", SESSION))


async def test_a_claim_is_given_to_the_attempt_that_has_inserted_the_session(
    database: Database, connection: Connection, claims: Claims, players: PlayerStore
) -> None:
    """The second attempt has taken the claim over, and the first one inserts the session."""
    await players.create(a_player("ada"))

    async def insert_one(collection: Any, document: dict[str, Any]) -> Any:
        (member,) = document["members"]
        first = document | {"members": [member | {"claim": "the first"}]}
        await collection.insert_one(first)
        return await collection.insert_one(document)

    intercepted = Collections(connection, sessions={"insert_one": insert_one})
    session = a_session("ada", incarnation="0" * 32, keyed=True)
    created = await SessionStore(intercepted, claims, Metrics()).create(session, repeated=True)
    assert created.id == session.id
    player = await players.get("ada")
    assert (player.session_id, player.claim) == (session.id, "the first")
    await SessionStore(connection, claims, Metrics()).change(
        session.id, lambda found: found.leave("ada", SYSTEM, LATER)
    )
    assert (await players.get("ada")).session_id is None


def keyed_player(player_id: str, username: str) -> Player:
    creation = Creation(player_id, "0" * 32, NOW, keyed=True)
    return Player.new(player_id, PlayerProfile(username=username), creation)


async def test_an_insertion_that_is_late_does_not_bring_a_deleted_player_back(
    database: Database, connection: Connection, claims: Claims, players: PlayerStore
) -> None:
    """The first attempt gets no response, the second one creates the player."""
    response = LostResponse("insert_one", before=True)
    store = PlayerStore(Collections(connection, players=response.methods), claims)
    with pytest.raises(DatabaseUnavailable):
        await store.create(keyed_player("ada", "ada"))
    await players.create(keyed_player("ada", "ada"), repeated=True)
    await players.delete("ada", ANY_VERSION)
    with pytest.raises(Exception, match="duplicate key"):
        await response.deliver()
    await players.create(keyed_player("ada", "ada"), repeated=True)
    assert await database.players.count_documents({"version": {"$gt": 0}}) == 0
    await players.create(a_player("ada"))  # The id and the username are free.
    assert [document["_id"] for document in await players.list(None, 10)] == ["ada"]


async def test_a_refused_repetition_is_final(
    connection: Connection, claims: Claims, players: PlayerStore
) -> None:
    """The first attempt gets no response, and its insertion arrives after the refusal."""
    response = LostResponse("insert_one", before=True)
    store = PlayerStore(Collections(connection, players=response.methods), claims)
    with pytest.raises(DatabaseUnavailable):
        await store.create(keyed_player("ada", "name"))
    await players.create(a_player("bob", username="name", username_key="name"))
    with pytest.raises(UsernameTaken):
        await players.create(keyed_player("ada", "name"), repeated=True)
    await players.delete("bob", ANY_VERSION)
    with pytest.raises(Exception, match="duplicate key"):
        await response.deliver()
    with pytest.raises(UsernameTaken):
        await players.create(keyed_player("ada", "name"), repeated=True)
    assert not await players.list(None, 10)


async def test_a_deletion_that_stops_half_way_is_repeated(
    database: Database, connection: Connection, claims: Claims, players: PlayerStore
) -> None:
    """The trace is left, and the player is not deleted: the player still is the created one."""
    await players.create(keyed_player("ada", "ada"))
    response = LostResponse("delete_one", before=True)
    store = PlayerStore(Collections(connection, players=response.methods), claims)
    player = await players.get("ada")
    assert await store._creations.leave_trace(player)
    await players.create(keyed_player("ada", "ada"), repeated=True)
    assert (await players.get("ada")).version == 1
    await store.delete("ada", ANY_VERSION)
    await players.create(keyed_player("ada", "ada"), repeated=True)
    assert not await players.list(None, 10)
    (trace,) = await database.players.find().to_list()
    assert trace["purge_at"] > utc_now() + timedelta(hours=47)
