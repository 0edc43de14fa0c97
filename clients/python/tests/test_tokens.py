"""How the token is sent, replaced after a 401, and kept secret."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import traceback
from collections.abc import Callable, Iterator

import httpx
import pytest

from game_api_client import AsyncGameApi, Forbidden, GameApi, GameApiError, Unauthenticated
from tests.conftest import NewApi
from tests.scripted_server import DROP, Answer, Received, ScriptedServer, problem

SECRET = "s3cret-token"
REFUSED = problem(401, "unauthenticated", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
MOVED = Answer(307, "", {"Location": "http://127.0.0.1:1/elsewhere"})


def tokens_of(server: ScriptedServer) -> list[str | None]:
    return [request.headers.get("Authorization") for request in server.received]


def accept(token: str) -> Callable[[Received], Answer]:
    """Answers with 401 unless the request has this token."""

    def answer(request: Received) -> Answer:
        is_valid = request.headers.get("Authorization") == f"Bearer {token}"
        return Answer(200, {}) if is_valid else REFUSED

    return answer


class Source:
    """A function that returns the tokens "t1", "t2", ..., and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        return f"t{self.calls}"


async def test_a_token_is_sent_with_every_request_but_health(
    connect: NewApi, server: ScriptedServer
) -> None:
    async with connect(server.url, token=SECRET, headers={"authorization": "Basic x"}) as api:
        await api.get_player("p")
        await api.create_player(username="ada")
    async with connect(server.url, token=SECRET) as api:
        await api.health()
    assert tokens_of(server) == [f"Bearer {SECRET}"] * 2 + [None]


async def test_a_token_that_is_refused_is_an_error(connect: NewApi, server: ScriptedServer) -> None:
    server.answers = [REFUSED]
    async with connect(server.url, token=SECRET) as api:
        with pytest.raises(Unauthenticated) as caught:
            await api.get_player("p")
    assert (caught.value.code, len(server.received)) == ("unauthenticated", 1)


@pytest.mark.parametrize("retries", [0, 3])
async def test_a_function_is_asked_again_once_after_a_401(
    connect: NewApi, server: ScriptedServer, retries: int
) -> None:
    source = Source()
    server.answers = [Answer(200, {}), REFUSED, Answer(200, {}), REFUSED, REFUSED, Answer(200, {})]
    async with connect(server.url, token=source, retries=retries) as api:
        await api.get_player("p")
        await api.update_session("s", if_match=3, name="duel")
        with pytest.raises(Unauthenticated):
            await api.update_member("s", "p", ready=True)
        await api.get_player("p")
    assert tokens_of(server) == [f"Bearer t{n}" for n in (1, 1, 2, 2, 3, 3)]
    assert source.calls == 3


async def test_the_same_token_again_is_not_sent_again(
    connect: NewApi, server: ScriptedServer
) -> None:
    server.answers = [REFUSED]
    async with connect(server.url, token=lambda: SECRET) as api:
        with pytest.raises(Unauthenticated):
            await api.get_player("p")
    assert len(server.received) == 1


async def test_a_403_is_no_reason_to_ask_for_a_token(
    connect: NewApi, server: ScriptedServer
) -> None:
    source = Source()
    server.answers = [problem(403, "forbidden")]
    async with connect(server.url, token=source) as api:
        with pytest.raises(Forbidden):
            await api.get_player("p")
    assert (source.calls, len(server.received)) == (1, 1)


async def test_concurrent_requests_share_one_token_and_one_refresh(
    connect: NewApi, server: ScriptedServer
) -> None:
    source = Source()
    server.answers = [accept("t2")]
    async with connect(server.url, token=source) as api:
        await asyncio.gather(*(api.get_player("p") for _ in range(20)))
        assert source.calls == 2
        server.answers = [accept("t3")]
        await asyncio.gather(*(api.get_player("p") for _ in range(20)))
    assert source.calls == 3
    assert tokens_of(server).count("Bearer t3") == 20


async def test_a_function_may_be_asynchronous(server: ScriptedServer) -> None:
    source = Source()
    running = 0

    async def get() -> str:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0.05)
        running -= 1
        return source()

    server.answers = [accept("t2")]
    async with AsyncGameApi(server.url, token=get) as api:
        await asyncio.gather(*(api.get_player("p") for _ in range(10)))
    assert source.calls == 2


async def test_a_cancelled_request_does_not_disturb_the_refresh_of_others(
    server: ScriptedServer,
) -> None:
    asked = asyncio.Event()

    async def get() -> str:
        asked.set()
        await asyncio.sleep(0.05)
        return SECRET

    async with AsyncGameApi(server.url, token=get) as api:
        first, second = [asyncio.create_task(api.get_player("p")) for _ in range(2)]
        await asked.wait()
        first.cancel()
        await second
        with pytest.raises(asyncio.CancelledError):
            await first
    assert tokens_of(server) == [f"Bearer {SECRET}"]


async def test_what_the_function_raises_is_raised_and_the_next_request_asks_again(
    connect: NewApi, server: ScriptedServer
) -> None:
    outcomes: Iterator[str | Exception] = iter(
        [LookupError("no login"), "t1", OSError("away"), "t2"]
    )

    def get() -> str:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    server.answers = [REFUSED, accept("t2")]
    async with connect(server.url, token=get) as api:
        with pytest.raises(LookupError):
            await api.get_player("p")
        with pytest.raises(OSError):
            await api.get_player("p")
        await api.get_player("p")
    assert tokens_of(server) == ["Bearer t1", "Bearer t2"]


async def test_a_redirection_is_an_error_that_takes_the_token_nowhere(
    connect: NewApi, server: ScriptedServer
) -> None:
    with ScriptedServer() as elsewhere:
        location = {"Location": f"{elsewhere.url}/api/v1/players/p"}
        for status in (301, 302, 303, 307, 308):
            server.answers = [Answer(status, "", location)]
            async with connect(server.url, token=SECRET) as api:
                with pytest.raises(GameApiError) as caught:
                    await api.get_player("p")
                with pytest.raises(GameApiError):
                    await api.create_player(username="ada")
            assert caught.value.status == status
        async with httpx.AsyncClient(follow_redirects=True) as http_client:
            async with AsyncGameApi(server.url, token=SECRET, http_client=http_client) as own:
                with pytest.raises(GameApiError):
                    await own.get_player("p")
    assert elsewhere.received == []


@pytest.mark.parametrize("token", ["", "a b", f"Bearer {SECRET}", f"{SECRET}\r\nX: y", "tökén", 7])
async def test_a_token_that_cannot_be_sent_is_refused_without_showing_it(
    connect: NewApi, server: ScriptedServer, token: str
) -> None:
    with pytest.raises(ValueError, match="must be a string of letters") as caught:
        connect(server.url, token=token)
    async with connect(server.url, token=lambda: token) as api:
        with pytest.raises(ValueError, match="must be a string of letters") as later:
            await api.get_player("p")
    assert server.received == []
    for error in (caught.value, later.value):
        shown = "".join(traceback.format_exception(error))
        assert SECRET not in shown and "tökén" not in shown


@pytest.mark.parametrize("answer", [REFUSED, DROP, MOVED, problem(500, "internal_error")])
async def test_the_token_is_in_no_text(
    connect: NewApi, server: ScriptedServer, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers = [answer]
    async with connect(server.url, token=SECRET, retries=0) as api:
        with pytest.raises(GameApiError) as caught:
            await api.get_player("p")
    texts = traceback.format_exception(caught.value)
    error: BaseException | None = caught.value
    while error is not None:
        texts += [repr(error), str(error), str(error.args)]
        error = error.__cause__ or error.__context__
    texts += [record.getMessage() for record in caplog.records]
    assert any("HTTP" in text or "connect" in text for text in texts)
    texts += [repr(o) for o in gc.get_objects() if type(o).__module__.startswith("game_api_client")]
    assert not [text for text in texts if SECRET in text]


def test_the_objects_of_the_client_do_not_show_the_token() -> None:
    with GameApi("http://127.0.0.1:1", token=SECRET) as api:
        assert SECRET not in f"{api!r} {api} {vars(api)} {vars(api._tokens)}"


async def test_an_expired_token_of_the_service_is_replaced(connect: NewApi, url: str) -> None:
    expired, valid = [os.environ.get(f"GAME_API_{name}") for name in ("EXPIRED_TOKEN", "TOKEN")]
    if not expired or not valid:
        # The tests also run against a service without authentication; `make clients` sets both.
        pytest.skip("the service needs no token: set GAME_API_TOKEN and GAME_API_EXPIRED_TOKEN")
    async with connect(url, token=expired) as api:
        with pytest.raises(Unauthenticated) as caught:
            await api.list_players()
    assert caught.value.code == "unauthenticated"
    tokens = iter([expired, valid])
    async with connect(url, token=lambda: next(tokens)) as api:
        assert "items" in await api.list_players()
        assert "items" in await api.list_sessions()
