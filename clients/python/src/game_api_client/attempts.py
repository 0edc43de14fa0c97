"""Whether a request is repeated, and how its outcome is read. Nothing in here does I/O."""

from __future__ import annotations

import random
from typing import Generic, TypeVar, cast

import httpx

from .errors import (
    GameApiError,
    error_of_failure,
    error_of_response,
    problem_of,
    retry_after_of,
)
from .requests import Request

T = TypeVar("T")

PASSING_STATUSES = {502, 503, 504}
PASSING_FAILURES = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError)
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
        self.token_was_refused = False
        self.may_have_succeeded = False
        """Whether an earlier attempt may have made the change, although it seemed to fail."""

    def may_replace_token(self, outcome: Outcome) -> bool:
        """Whether another token may help. This is so once: the next refusal is final."""
        if not isinstance(outcome, httpx.Response) or outcome.status_code != 401:
            return False
        first, self.token_was_refused = not self.token_was_refused, True
        return first

    def delay_after(self, outcome: Outcome) -> float | None:
        """The seconds to wait before the next attempt; None if this outcome is final."""
        refused = was_refused(outcome)
        passing = refused or (is_passing(outcome) and self.request.is_repeatable)
        if self.repeated >= self.retries or not passing:
            return None
        wait = retry_after_of(outcome) if isinstance(outcome, httpx.Response) else None
        if wait is not None and wait > MAX_RETRY_AFTER:
            return None
        backoff = min(FIRST_BACKOFF * 2.0**self.repeated, MAX_BACKOFF) * random.uniform(0.5, 1)
        self.repeated += 1
        self.may_have_succeeded |= not refused
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


def was_refused(outcome: Outcome) -> bool:
    """Whether the service has not begun with the request, and asks for it again later."""
    if not isinstance(outcome, httpx.Response):
        return False
    if outcome.status_code == 409:
        # An earlier attempt with the same Idempotency-Key is still being processed.
        return problem_of(outcome).get("code") == "request_in_progress"
    return outcome.status_code == 429


def is_passing(outcome: Outcome) -> bool:
    """Whether the attempt has failed in a way that a later one may not, but may have succeeded."""
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in PASSING_STATUSES
    return isinstance(outcome, PASSING_FAILURES)
