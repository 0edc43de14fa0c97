"""Idempotency keys: replays, conflicts, attempts that died, and races."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from game_api.access import idempotency
from game_api.clock import utc_now
from game_api.database.client import Database
from tests.access.minting import bearer
from tests.conftest import Lines
from tests.http.checks import assert_problem

Api = httpx2.AsyncClient
ADA = {"player_id": "ada", "username": "ada"}
SESSION = {"name": "x", "game_mode": "duel", "max_players": 4}


async def post(
    api: Api, path: str, body: Any, key: str | None = "k", **headers: str
) -> httpx2.Response:
    given = headers if key is None else {"Idempotency-Key": key, **headers}
    return await api.post(f"/api/v1{path}", json=body, headers=given)


def told(response: httpx2.Response) -> tuple[int, bytes, str | None, str | None, str | None]:
    """What a replay repeats."""
    headers = response.headers
    return (
        response.status_code,
        response.content,
        headers.get("location"),
        headers.get("etag"),
        headers.get("content-type"),
    )


def replayed(response: httpx2.Response) -> bool:
    return bool(response.headers.get("idempotent-replayed") == "true")


async def the_record(database: Database) -> dict[str, Any]:
    (record,) = await database.keyed_requests.find().to_list()
    return dict(record)


async def expire_lease(database: Database) -> None:
    """Make the last attempt look as if its process had died 30 s ago, without an answer."""
    await database.keyed_requests.update_many(
        {}, {"$set": {"answer": None, "lease_until": utc_now() - timedelta(seconds=1)}}
    )


async def test_a_repetition_gets_the_first_answer(api: Api, database: Database) -> None:
    first = await post(api, "/players", ADA)
    await api.put("/api/v1/players/ada", json={"rating": 5})
    for _ in range(2):
        again = await post(api, "/players", ADA)
        assert told(again) == told(first) and first.status_code == 201
        assert replayed(again) and not replayed(first)
        assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert (await api.get("/api/v1/players/ada")).json()["rating"] == 5


async def test_generated_ids_are_replayed(api: Api, database: Database) -> None:
    for path, body in (("/players", {"username": "ada"}), ("/sessions", SESSION)):
        first, again = [await post(api, path, body) for _ in range(2)]
        assert told(first) == told(again)
    assert await database.players.count_documents({}) == 1
    assert await database.sessions.count_documents({}) == 1


async def test_a_party_joins_once(api: Api) -> None:
    await post(api, "/players", ADA, None)
    session = (await post(api, "/sessions", SESSION, None)).json()["session_id"]
    path, body = f"/sessions/{session}/players", {"player_ids": ["ada"]}
    first = await post(api, path, body)
    await api.delete(f"/api/v1{path}/ada")
    again = await post(api, path, body)
    assert told(first) == told(again) and replayed(again)
    assert (await api.get(f"/api/v1/sessions/{session}")).json()["player_count"] == 0


async def test_refusals_are_replayed(api: Api) -> None:
    await post(api, "/players", ADA, None)
    for number, (path, body, status) in enumerate(
        [
            ("/players", ADA, 409),
            ("/players", {"username": "a"}, 422),
            ("/sessions", SESSION | {"host_player_id": "nobody"}, 404),
            ("/sessions/none/players", {"player_ids": ["ada"]}, 404),
        ]
    ):
        first, again = [await post(api, path, body, f"k{number}") for _ in range(2)]
        assert told(first) == told(again) and first.status_code == status
        assert replayed(again)


async def test_a_body_that_is_not_json_is_replayed(api: Api) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    first, again = [
        await api.post("/api/v1/players", content=b"{", headers=headers) for _ in range(2)
    ]
    assert told(first) == told(again) and first.status_code == 422 and replayed(again)


async def test_another_body_is_refused(api: Api) -> None:
    await post(api, "/players", ADA)
    for body in (ADA | {"rating": 1}, {"username": "bob"}):
        assert_problem(await post(api, "/players", body), 422, "idempotency_key_reused")
    # The bytes are compared, and not what they mean.
    spaced = json.dumps(ADA, indent=1).encode()
    headers = {"Idempotency-Key": "k", "Content-Type": "application/json"}
    response = await api.post("/api/v1/players", content=spaced, headers=headers)
    assert_problem(response, 422, "idempotency_key_reused")


async def test_a_key_belongs_to_a_path_and_a_principal(guarded: Api) -> None:
    admins = [bearer("one", "admin"), bearer("two", "admin")]
    for number, admin in enumerate(admins):
        body = {"username": f"player-{number}"}
        assert (await post(guarded, "/players", body, "k", **admin)).status_code == 201
        response = await post(guarded, "/sessions", SESSION, "k", **admin)
        assert response.status_code == 201 and not replayed(response)


async def test_a_key_is_free_again_after_a_day(api: Api, database: Database) -> None:
    await post(api, "/players", ADA)
    almost = utc_now() - idempotency.LIFETIME + timedelta(minutes=1)
    await database.keyed_requests.update_many({}, {"$set": {"started_at": almost}})
    assert replayed(await post(api, "/players", ADA))
    past = utc_now() - idempotency.LIFETIME - timedelta(milliseconds=1)
    await database.keyed_requests.update_many({}, {"$set": {"started_at": past}})
    bob = {"player_id": "bob", "username": "bob"}
    response = await post(api, "/players", bob)
    assert response.status_code == 201 and not replayed(response)
    assert replayed(await post(api, "/players", bob))
    indexes = await database.keyed_requests.index_information()
    assert indexes["purge"]["expireAfterSeconds"] == 0
    assert (await the_record(database))["purge_at"] > utc_now()


async def test_a_request_in_progress_is_reported(api: Api, database: Database) -> None:
    await post(api, "/players", ADA)
    soon = utc_now() + timedelta(seconds=20)
    await database.keyed_requests.update_many({}, {"$set": {"answer": None, "lease_until": soon}})
    response = await post(api, "/players", ADA)
    assert_problem(response, 409, "request_in_progress")
    assert int(response.headers["retry-after"]) >= 1
    assert_problem(await post(api, "/players", ADA | {"rating": 1}), 422, "idempotency_key_reused")


@pytest.mark.parametrize("kind", ["players", "sessions"])
async def test_a_process_that_died_after_the_creation(
    api: Api, database: Database, kind: str
) -> None:
    """The repetition gets the answer that the first attempt would have got."""
    await post(api, "/players", {"player_id": "hal", "username": "hal"}, None)
    body = ADA if kind == "players" else SESSION | {"host_player_id": "hal"}
    first = await post(api, f"/{kind}", body)
    await expire_lease(database)
    resource = first.headers["location"]
    assert (await api.put(resource, json={"region": "eu-west-1"})).status_code == 200
    again = await post(api, f"/{kind}", body)
    assert told(again) == told(first) and not replayed(again)
    assert replayed(await post(api, f"/{kind}", body))
    assert await database[kind].count_documents({}) == (2 if kind == "players" else 1)
    assert (await api.get(resource)).json()["version"] == 2


@pytest.mark.parametrize("kind", ["players", "sessions"])
async def test_a_process_that_died_before_the_creation(
    api: Api, database: Database, kind: str
) -> None:
    body = ADA if kind == "players" else SESSION
    first = await post(api, f"/{kind}", body)
    await expire_lease(database)
    await database[kind].delete_many({})
    again = await post(api, f"/{kind}", body)
    assert again.headers["location"] == first.headers["location"]
    assert again.status_code == 201 and not replayed(again)
    assert await database[kind].count_documents({}) == 1


async def test_a_player_who_is_deleted_is_not_created_again(api: Api, database: Database) -> None:
    first = await post(api, "/players", ADA)
    await expire_lease(database)
    assert (await api.delete("/api/v1/players/ada")).status_code == 204
    again = await post(api, "/players", ADA)
    assert told(again) == told(first)
    assert (await api.get("/api/v1/players/ada")).status_code == 404


async def test_another_player_with_the_id_is_not_taken_for_the_own_one(
    api: Api, database: Database
) -> None:
    await post(api, "/players", ADA)
    await expire_lease(database)
    await database.players.delete_many({})
    await post(api, "/players", ADA, "another")
    await expire_lease(database)
    assert_problem(await post(api, "/players", ADA), 409, "player_exists")


async def test_a_session_goes_on_to_the_next_id_in_each_attempt(
    api: Api, database: Database
) -> None:
    """A tombstone is where the first id was: its claims were settled as abandoned."""
    first = await post(api, "/sessions", SESSION)
    session_id = first.json()["session_id"]
    await database.sessions.delete_many({})
    await database.sessions.insert_one({"_id": session_id, "revision": 1})
    await expire_lease(database)
    again = await post(api, "/sessions", SESSION)
    assert again.status_code == 201 and again.json()["session_id"] > session_id
    await expire_lease(database)
    assert told(await post(api, "/sessions", SESSION)) == told(again)
    assert await database.sessions.count_documents({}) == 2


async def test_the_host_of_a_repeated_session_may_be_elsewhere(
    api: Api, database: Database
) -> None:
    await post(api, "/players", ADA, None)
    body = SESSION | {"host_player_id": "ada"}
    first = await post(api, "/sessions", body)
    await api.delete(f"{first.headers['location']}/players/ada")
    assert (await post(api, "/sessions", body, None)).status_code == 201
    await expire_lease(database)
    again = await post(api, "/sessions", body)
    assert told(again) == told(first)
    assert await database.sessions.count_documents({}) == 2


async def test_answers_that_are_not_kept(guarded: Api, database: Database) -> None:
    """After 401, 403 and 415 the key can be used for the right request."""
    ada, admin = bearer("ada", "player"), bearer("ada", "admin")
    bob = {"player_id": "bob", "username": "bob"}
    assert (await post(guarded, "/players", bob)).status_code == 401
    assert (await post(guarded, "/players", bob, **ada)).status_code == 403
    plain = {"Content-Type": "text/plain", "Idempotency-Key": "k"} | ada
    response = await guarded.post("/api/v1/players", content=b"x", headers=plain)
    assert response.status_code == 415

    async def forgotten() -> bool:
        return await database.keyed_requests.count_documents({}) == 0

    while not await forgotten():  # It is forgotten in the background.
        await asyncio.sleep(0.01)
    assert (await post(guarded, "/players", ADA, **ada)).status_code == 201
    assert replayed(await post(guarded, "/players", ADA, **admin))


@pytest.mark.parametrize(
    "key", ["a", "x" * 64, "a b", "!~", "550e8400-e29b-41d4-a716-446655440000"]
)
async def test_a_valid_key(api: Api, key: str) -> None:
    assert (await post(api, "/players", ADA, key)).status_code == 201
    assert replayed(await post(api, "/players", ADA, key))


@pytest.mark.parametrize("key", [b"", b" ", b"x" * 65, b"\xe4", b"a\tb", b"a\x7fb"])
async def test_an_invalid_key(api: Api, database: Database, key: bytes) -> None:
    headers = [(b"Idempotency-Key", key)]
    response = await api.post("/api/v1/players", json=ADA, headers=headers)
    assert_problem(response, 422, "validation_error")
    assert response.json()["errors"][0]["loc"] == ["header", "Idempotency-Key"]
    assert await database.players.count_documents({}) == 0


async def test_two_keys_are_refused(api: Api) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")]
    response = await api.post("/api/v1/players", json=ADA, headers=headers)
    assert_problem(response, 422, "validation_error")


async def test_without_a_key_nothing_is_recorded(api: Api, database: Database) -> None:
    await post(api, "/players", ADA, None)
    assert await database.keyed_requests.count_documents({}) == 0
    assert (await post(api, "/players", ADA, None)).status_code == 409


async def test_the_key_and_the_body_are_not_stored(
    api: Api, database: Database, log_lines: Lines
) -> None:
    key = "a-key-that-nobody-should-see"
    await post(api, "/players", ADA, key)
    record = await the_record(database)
    assert key not in repr(record) and key not in "\n".join(log_lines.lines)


async def test_many_repetitions_at_once_have_one_effect(api: Api, database: Database) -> None:
    answers = await asyncio.gather(*(post(api, "/sessions", SESSION) for _ in range(20)))
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {201, 409}
    created = {answer.content for answer in answers if answer.status_code == 201}
    assert len(created) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["code"] == "request_in_progress"
    assert await database.sessions.count_documents({}) == 1
