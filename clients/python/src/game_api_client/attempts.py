"""Whether a request is repeated, and how its outcome is read. Nothing in here does I/O."""

from __future__ import annotations

import random
from typing import Generic, TypeVar, cast

import httpx

from .errors import GameApiError, error_of_failure, error_of_response, retry_after_of
from .requests import Request

T = TypeVar("T")

IDEMPOTENT_METHODS = {"GET", "HEAD", "PUT", "DELETE"}
PASSING_STATUSES = {429, 502, 503, 504}
PASSING_FAILURES = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
FIRST_BACKOFF = 0.2
MAX_BACKOFF = 5.0
MAX_RETRY_AFTER = 30.0
"""In seconds. If the service asks to wait longer than this, the request is not repeated."""

Outcome = httpx.Response | httpx.RequestError


class Attempts(Generic[T]):
    """The attempts to send one request."""

    def __init__(self, request: Request[T], retries: int) -> None:
        self.request = request
        self.retries = retries
        self.repeated = 0
        self.may_have_succeeded = False
        """Whether an earlier attempt may have made the change, although it seemed to fail."""

    def delay_after(self, outcome: Outcome) -> float | None:
        """The seconds to wait before the next attempt; None if this outcome is final."""
        untouched = was_not_processed(outcome)
        # A conditional change that may have been made would now meet the version that it made.
        safe = self.request.method in IDEMPOTENT_METHODS and (
            untouched or self.request.if_match is None
        )
        if self.repeated >= self.retries or not safe or not is_passing(outcome):
            return None
        wait = retry_after_of(outcome) if isinstance(outcome, httpx.Response) else None
        if wait is not None and wait > MAX_RETRY_AFTER:
            return None
        backoff = min(FIRST_BACKOFF * 2.0**self.repeated, MAX_BACKOFF) * random.uniform(0.5, 1)
        self.repeated += 1
        self.may_have_succeeded |= not untouched
        return (wait or 0.0) + backoff

    def result(self, outcome: Outcome) -> T:
        """The body of the final response; None for 204 and 304. Raises GameApiError."""
        if isinstance(outcome, httpx.RequestError):
            raise error_of_failure(outcome) from outcome
        if outcome.status_code in (204, 304):
            return cast(T, None)
        if outcome.is_success:
            try:
                return cast(T, outcome.json())
            except ValueError as unreadable:
                raise error_of_response(outcome) from unreadable
        error = error_of_response(outcome)
        if self._has_deleted(error):
            return cast(T, None)
        raise error

    def _has_deleted(self, error: GameApiError) -> bool:
        """Whether a repeated DELETE finds nothing because an earlier attempt has deleted it."""
        deleted = self.request.method == "DELETE" and error.code == "player_not_found"
        return deleted and self.may_have_succeeded


def is_passing(outcome: Outcome) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in PASSING_STATUSES
    return isinstance(outcome, PASSING_FAILURES)


def was_not_processed(outcome: Outcome) -> bool:
    """Whether it is certain that the service has not begun to process the request."""
    if isinstance(outcome, httpx.Response):
        return outcome.status_code == 429
    return isinstance(outcome, NEVER_SENT)
