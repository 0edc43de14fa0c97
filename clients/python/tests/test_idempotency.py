"""The Idempotency-Keys of POSTs, and their repetition."""

from __future__ import annotations

import time
import uuid

import httpx
import pytest

from game_api_client import AsyncGameApi, Conflict, ConnectionFailed, UsernameTaken
from tests.conftest import NewApi
from tests.scripted_server import DROP, Answer, ScriptedServer, problem

BUSY = problem(503, "database_unavailable")


def keys_of(server: ScriptedServer) -> list[str | None]:
    return [request.headers.get("Idempotency-Key") for request in server.received]


async def test_every_post_has_a_key_of_its_own_and_no_other_request_has_one(
    scripted: AsyncGameApi, server: ScriptedServer
) -> None:
    await scripted.create_player(username="ada")
    await scripted.create_player(username="ada")
    await scripted.create_session(name="duel", game_mode="duel", max_players=2)
    await scripted.join_session_as_party("s", player_ids=["p"])
    keys = keys_of(server)
    assert len({uuid.UUID(key).version for key in keys if key}) == 1 and len(set(keys)) == 4
    await scripted.join_session("s", "p")
    await scripted.update_member("s", "p", ready=True)
    assert keys_of(server)[4:] == [None, None]


@pytest.mark.parametrize("failure", [DROP, BUSY, Answer(502, "<h1>Bad Gateway</h1>")])
async def test_a_post_is_repeated_with_the_same_key_and_body(
    scripted: AsyncGameApi, server: ScriptedServer, failure: Answer
) -> None:
    server.answers = [failure, failure, Answer(201, {"version": 1})]
    assert (await scripted.create_player(username="ada"))["version"] == 1
    assert len(server.received) == 3 and len(set(map(str, server.received))) == 1
    assert keys_of(server)[0]


async def test_a_key_of_the_caller_is_sent(scripted: AsyncGameApi, server: ScriptedServer) -> None:
    await scripted.create_player(username="ada", idempotency_key="a key")
    await scripted.create_session(
        name="duel", game_mode="duel", max_players=2, idempotency_key="b" * 64
    )
    await scripted.join_session_as_party("s", player_ids=["p"], idempotency_key="~")
    assert keys_of(server) == ["a key", "b" * 64, "~"]
    assert server.received[0].body == b'{"username":"ada"}'


@pytest.mark.parametrize("key", ["", " a", "b" * 65, "é", "a\r\nX: y"])
async def test_a_key_that_cannot_be_sent_is_refused(
    scripted: AsyncGameApi, server: ScriptedServer, key: str
) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        await scripted.create_player(username="ada", idempotency_key=key)
    assert server.received == []


async def test_a_request_in_progress_is_waited_for(
    scripted: AsyncGameApi, server: ScriptedServer
) -> None:
    in_progress = problem(409, "request_in_progress", {"Retry-After": "1"})
    server.answers = [DROP, in_progress, Answer(201, {"version": 1})]
    started = time.monotonic()
    assert (await scripted.create_player(username="ada"))["version"] == 1
    assert time.monotonic() - started >= 1 and len(set(keys_of(server))) == 1


async def test_a_request_that_stays_in_progress_is_a_conflict(
    connect: NewApi, server: ScriptedServer
) -> None:
    server.answers = [problem(409, "request_in_progress", {"Retry-After": "0"})]
    async with connect(server.url, retries=2) as api:
        with pytest.raises(Conflict) as caught:
            await api.create_player(username="ada")
    assert (caught.value.code, len(server.received)) == ("request_in_progress", 3)


async def test_without_retries_a_post_is_sent_once(connect: NewApi, server: ScriptedServer) -> None:
    server.answers = [DROP]
    async with connect(server.url, retries=0) as api:
        with pytest.raises(ConnectionFailed):
            await api.create_player(username="ada")
    assert len(server.received) == 1


class Lossy(httpx.AsyncHTTPTransport):
    """Sends every request, and loses the response to the first one."""

    sent = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        self.sent += 1
        if self.sent > 1:
            return response
        await response.aclose()
        raise httpx.ReadError("the response was lost", request=request)


async def test_a_post_whose_response_was_lost_creates_once(
    url: str, token: str | None, word: str
) -> None:
    transport = Lossy()
    async with httpx.AsyncClient(transport=transport) as http_client:
        api = AsyncGameApi(url, token=token, http_client=http_client)
        player = await api.create_player(username=word, idempotency_key=word)
        assert transport.sent == 2 and player["version"] == 1
        assert await api.create_player(username=word, idempotency_key=word) == player
        with pytest.raises(UsernameTaken):
            await api.create_player(username=word)
