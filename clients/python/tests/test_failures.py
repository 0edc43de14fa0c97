"""What a healthy service does not do: failures, and answers that this version does not know."""

import asyncio
import pickle
import socket
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import httpx
import pytest

from game_api_client import (
    AsyncGameApi,
    ClientError,
    Conflict,
    ConnectionFailed,
    Forbidden,
    GameApi,
    GameApiError,
    NotFound,
    RateLimited,
    ServerError,
    SessionFull,
    TimedOut,
    Unauthenticated,
    Unavailable,
    ValidationError,
    VersionMismatch,
)
from tests.conftest import NewApi
from tests.scripted_server import DROP, HANG, Answer, ScriptedServer, problem

BUSY = problem(503, "database_unavailable")
HTML = {"Content-Type": "text/html"}


async def test_a_lost_connection_is_retried(scripted: AsyncGameApi, server: ScriptedServer) -> None:
    server.answers = [DROP, Answer(502, "<h1>Bad Gateway</h1>", HTML), Answer(200, {"version": 7})]
    assert (await scripted.join_session("s", "p", team="red"))["version"] == 7
    assert len(server.received) == 3 and len(set(map(str, server.received))) == 1
    assert server.received[0].body == b'{"team":"red"}'


async def test_retries_end(connect: NewApi, server: ScriptedServer) -> None:
    server.answers = [BUSY]
    async with connect(server.url, retries=2) as api:
        with pytest.raises(Unavailable) as caught:
            await api.get_player("p")
    assert (caught.value.code, len(server.received)) == ("database_unavailable", 3)


@pytest.mark.parametrize("retries", [0, -1])
async def test_without_retries_a_request_is_sent_once(
    connect: NewApi, server: ScriptedServer, retries: int
) -> None:
    server.answers = [BUSY]
    async with connect(server.url, retries=retries) as api:
        with pytest.raises(Unavailable):
            await api.get_player("p")
    assert len(server.received) == 1


@pytest.mark.parametrize("answer", [DROP, BUSY])
async def test_a_patch_that_may_have_been_made_is_not_retried(
    scripted: AsyncGameApi, server: ScriptedServer, answer: Answer
) -> None:
    server.answers = [answer]
    with pytest.raises(GameApiError):
        await scripted.update_member("s", "p", ready=True)
    assert [request.method for request in server.received] == ["PATCH"]


async def test_a_patch_that_was_not_processed_is_retried(
    scripted: AsyncGameApi, server: ScriptedServer
) -> None:
    server.answers = [problem(429, "rate_limited", {"Retry-After": "0"}), Answer(200, {})]
    await scripted.update_member("s", "p", ready=True)
    assert len(server.received) == 2


async def test_a_conditional_change_that_may_have_been_made_is_not_retried(
    scripted: AsyncGameApi, server: ScriptedServer
) -> None:
    server.answers = [DROP]
    with pytest.raises(ConnectionFailed):
        await scripted.update_session("s", if_match=3, status="active")
    assert [request.headers["If-Match"] for request in server.received] == ['"3"']


async def test_a_conditional_change_that_was_not_processed_is_retried(
    scripted: AsyncGameApi, server: ScriptedServer
) -> None:
    server.answers = [problem(429, "rate_limited"), Answer(200, {"version": 4})]
    assert (await scripted.update_session("s", if_match=3, name="duel"))["version"] == 4


async def test_a_retried_deletion_that_finds_nothing_has_succeeded(
    scripted: AsyncGameApi, server: ScriptedServer
) -> None:
    server.answers = [DROP, problem(404, "player_not_found")]
    await scripted.delete_player("p")
    with pytest.raises(NotFound):
        await scripted.delete_player("p")


async def test_a_deletion_that_was_refused_and_then_finds_nothing_has_failed(
    scripted: AsyncGameApi, server: ScriptedServer
) -> None:
    server.answers = [problem(429, "rate_limited"), problem(404, "player_not_found")]
    with pytest.raises(NotFound):
        await scripted.delete_player("p")


async def test_a_retried_deletion_that_finds_no_service_has_failed(
    scripted: AsyncGameApi, server: ScriptedServer
) -> None:
    server.answers = [DROP, Answer(404, "<h1>Not Found</h1>", HTML)]
    with pytest.raises(NotFound):
        await scripted.delete_player("p")


async def test_retry_after_is_honoured_in_seconds(
    scripted: AsyncGameApi, server: ScriptedServer
) -> None:
    server.answers = [problem(503, "shutting_down", {"Retry-After": "1"}), Answer(200, {})]
    started = time.monotonic()
    await scripted.get_player("p")
    assert time.monotonic() - started >= 1


async def test_retry_after_is_honoured_as_a_date(
    scripted: AsyncGameApi, server: ScriptedServer
) -> None:
    date = datetime.now(timezone.utc) + timedelta(seconds=2)
    header = {"Retry-After": format_datetime(date, usegmt=True)}
    server.answers = [problem(429, "rate_limited", header), Answer(200, {})]
    await scripted.get_player("p")
    # The header has whole seconds.
    assert datetime.now(timezone.utc) >= date.replace(microsecond=0)


async def test_a_long_retry_after_is_left_to_the_caller(
    scripted: AsyncGameApi, server: ScriptedServer
) -> None:
    server.answers = [problem(429, "rate_limited", {"Retry-After": "3600"})]
    with pytest.raises(RateLimited) as caught:
        await scripted.get_player("p")
    assert (caught.value.retry_after, len(server.received)) == (3600, 1)


async def test_a_task_can_be_cancelled_between_attempts(server: ScriptedServer) -> None:
    server.answers = [problem(503, "shutting_down", {"Retry-After": "30"})]
    started = time.monotonic()
    async with AsyncGameApi(server.url) as api:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(api.get_player("p"), 1)
    # On a slow machine, the task is cancelled before the first response.
    assert len(server.received) <= 1 and time.monotonic() - started < 30


async def test_a_slow_service_times_out(connect: NewApi, server: ScriptedServer) -> None:
    server.answers = [HANG]
    async with connect(server.url, timeout=httpx.Timeout(30, read=0.1), retries=1) as api:
        with pytest.raises(TimedOut) as caught:
            await api.get_player("p")
    assert isinstance(caught.value.__cause__, httpx.ReadTimeout)


async def test_a_missing_service_is_a_failed_connection(connect: NewApi) -> None:
    with (
        socket.socket() as unused
    ):  # It is bound, so nobody else gets the port, but nobody listens.
        unused.bind(("127.0.0.1", 0))
        async with connect(f"http://127.0.0.1:{unused.getsockname()[1]}", retries=1) as api:
            with pytest.raises(ConnectionFailed) as caught:
                await api.get_player("p")
    error = caught.value
    assert isinstance(error.__cause__, httpx.ConnectError)
    assert (error.status, error.code, error.problem) == (None, None, {})


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(401, "unauthenticated"), Unauthenticated),
        (problem(403, "forbidden"), Forbidden),
        (problem(404, "new_code"), NotFound),
        (problem(409, "new_code"), Conflict),
        (problem(412, "version_mismatch"), VersionMismatch),
        (problem(418, "new_code"), ClientError),
        (problem(405, "session_full"), ClientError),
        (problem(422, "validation_error", errors="many"), ValidationError),
        (problem(500, "internal_error"), ServerError),
        (problem(599, "new_code"), ServerError),
    ],
)
async def test_an_unknown_answer_raises_the_nearest_class(
    scripted: AsyncGameApi, server: ScriptedServer, answer: Answer, error: type[GameApiError]
) -> None:
    server.answers = [answer]
    with pytest.raises(GameApiError) as caught:
        await scripted.create_player(username="ada")
    assert type(caught.value) is error
    assert (caught.value.status, caught.value.code) == (answer.status, answer.body["code"])


async def test_new_members_are_passed_on(scripted: AsyncGameApi, server: ScriptedServer) -> None:
    server.answers = [Answer(200, {"player_id": "p", "clan": {"name": "blue"}})]
    assert (await scripted.get_player("p")).get("clan") == {"name": "blue"}
    server.answers = [problem(409, "banned", until="2026-12-01T00:00:00.000Z")]
    with pytest.raises(Conflict) as caught:
        await scripted.join_session("s", "p")
    assert caught.value.problem["until"] == "2026-12-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(502, "<h1>Bad Gateway</h1>", HTML), ServerError),
        (Answer(503, "", {"Retry-After": "soon"}), Unavailable),
        (Answer(403, {"code": "blocked"}, {"Content-Type": "application/json"}), Forbidden),
        (Answer(404, "[]", {"Content-Type": "application/problem+json"}), NotFound),
        (Answer(409, "{", {"Content-Type": "application/problem+json"}), Conflict),
        (Answer(301, "", {"Location": "http://192.0.2.1/"}), GameApiError),
        (Answer(200, "<h1>Please log in</h1>", HTML), GameApiError),
    ],
)
async def test_a_response_of_something_else_is_an_error_without_code(
    connect: NewApi, server: ScriptedServer, answer: Answer, error: type[GameApiError]
) -> None:
    server.answers = [answer]
    async with connect(server.url, retries=0) as api:
        with pytest.raises(GameApiError) as caught:
            await api.get_player("p")
    found = caught.value
    assert type(found) is error and found.status == answer.status
    assert (found.code, found.problem, found.retry_after) == (None, {}, None)
    assert str(answer.status) in str(found) and found.detail


def test_an_error_survives_pickling() -> None:
    error = SessionFull("A sentence.", status=409, code="session_full", request_id="r-1")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is SessionFull and vars(copy) == vars(error)
    assert str(copy) == "409 session_full: A sentence. (request r-1)"


async def test_an_id_is_one_segment_of_the_path(connect: NewApi, server: ScriptedServer) -> None:
    async with connect(f"{server.url}/prefix/") as api:
        await api.get_player("../a b?c#d")
        for wrong in ("", ".", ".."):
            with pytest.raises(ValueError, match="is not an id"):
                await api.get_player(wrong)
    (request,) = server.received
    assert request.path == "/prefix/api/v1/players/..%2Fa%20b%3Fc%23d"


async def test_headers_are_sent_with_every_request(connect: NewApi, server: ScriptedServer) -> None:
    async with connect(server.url) as api:
        await api.get_player("p", if_none_match=2)
    async with connect(server.url, headers={"x-request-id": "l-1", "user-agent": "lobby"}) as api:
        await api.get_player("p", if_none_match=2)
    first, second = [httpx.Headers(request.headers) for request in server.received]
    assert first["User-Agent"].startswith("game-api-client/")
    assert second.get_list("User-Agent") == ["lobby"] and second["X-Request-ID"] == "l-1"
    assert first["If-None-Match"] == second["If-None-Match"] == '"2"'


async def test_the_http_client_of_the_caller_is_used_and_stays_open(
    server: ScriptedServer,
) -> None:
    async with httpx.AsyncClient(headers={"X-Studio": "a"}) as http_client:
        async with AsyncGameApi(server.url, http_client=http_client) as api:
            await api.get_player("p")
        assert not http_client.is_closed
    with httpx.Client(headers={"X-Studio": "a"}) as sync_http_client:
        with GameApi(server.url, http_client=sync_http_client) as sync_api:
            await asyncio.to_thread(sync_api.get_player, "p")
        assert not sync_http_client.is_closed
    assert [request.headers["X-Studio"] for request in server.received] == ["a", "a"]
