"""The rules for retries, which need no connection."""

import httpx
import pytest

from game_api_client.attempts import MAX_BACKOFF, Attempts, Outcome
from game_api_client.requests import Request


def delay_after(outcome: Outcome, method: str = "GET", if_match: int | None = None) -> float | None:
    key = "k" if method == "POST" else None
    request = Request[None](method, "/", if_match=if_match, idempotency_key=key)
    return Attempts(request, 3).delay_after(outcome)


def in_progress(code: str = "request_in_progress") -> httpx.Response:
    headers = {"Content-Type": "application/problem+json"}
    return httpx.Response(409, json={"code": code}, headers=headers)


@pytest.mark.parametrize("retries", [0, -1])
def test_without_retries_the_first_outcome_is_final(retries: int) -> None:
    attempts = Attempts(Request[None]("GET", "/"), retries)
    assert attempts.delay_after(httpx.Response(503)) is None


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize(
    "outcome",
    [
        *[httpx.Response(status) for status in (502, 503, 504)],
        httpx.ConnectError("refused"),
        httpx.ReadError("reset"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("closed"),
    ],
)
def test_a_passing_failure_is_retried_unless_the_change_could_be_made_twice(
    method: str, outcome: Outcome
) -> None:
    assert delay_after(outcome, method) is not None
    assert delay_after(outcome, "PATCH") is None
    assert delay_after(outcome, "PUT", if_match=3) is None
    assert delay_after(outcome, "DELETE", if_match=3) is None


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST", "PATCH"])
@pytest.mark.parametrize("outcome", [httpx.Response(429), in_progress()])
def test_a_request_that_was_not_begun_is_retried(method: str, outcome: Outcome) -> None:
    assert delay_after(outcome, method) is not None
    assert delay_after(outcome, method, if_match=3) is not None


@pytest.mark.parametrize(
    "outcome",
    [
        *[httpx.Response(status) for status in (200, 304, 400, 401, 403, 404, 408, 409, 412)],
        *[httpx.Response(status) for status in (422, 500, 501)],
        in_progress("session_full"),
        httpx.UnsupportedProtocol("ftp"),
        httpx.LocalProtocolError("a line break in a header"),
    ],
)
def test_a_lasting_outcome_is_final(outcome: Outcome) -> None:
    assert delay_after(outcome) is None


def test_the_delay_grows_up_to_a_limit_and_varies() -> None:
    attempts = Attempts(Request[None]("GET", "/"), 12)
    delays = [attempts.delay_after(httpx.Response(503)) or 0 for _ in range(12)]
    for repeated, delay in enumerate(delays):
        limit = min(0.2 * 2**repeated, MAX_BACKOFF)
        assert limit / 2 <= delay <= limit
    assert len(set(delays)) == 12
    assert attempts.delay_after(httpx.Response(503)) is None


@pytest.mark.parametrize(
    ("header", "least"),
    [
        ("0", 0.1),
        ("20", 20.1),
        ("30", 30.1),
        ("31", None),
        ("99999999999999999999", 0.1),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("-5", 0.1),
        ("1.5", 0.1),
        ("soon", 0.1),
    ],
)
def test_the_delay_is_at_least_what_the_service_asks_for(header: str, least: float | None) -> None:
    delay = delay_after(httpx.Response(503, headers={"Retry-After": header}))
    assert delay is None if least is None else delay is not None and least <= delay <= least + 0.1
