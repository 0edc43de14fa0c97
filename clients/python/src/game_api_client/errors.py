"""The errors that the clients raise.

    GameApiError
    ├── ConnectionFailed            there was no response
    │   └── TimedOut
    ├── ClientError                 4xx
    │   ├── Unauthenticated         401
    │   ├── Forbidden               403
    │   ├── NotFound                404
    │   ├── Conflict                409
    │   │   ├── AlreadyInSession
    │   │   ├── SessionFull
    │   │   ├── SessionNotJoinable
    │   │   └── UsernameTaken
    │   ├── VersionMismatch         412
    │   ├── ValidationError         422
    │   └── RateLimited             429
    └── ServerError                 5xx
        └── Unavailable             503

A status or a code that this version of the package does not know raises the nearest class: a new
code of 409 raises `Conflict`, and a new status 418 raises `ClientError`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from .models import FieldError


class GameApiError(Exception):
    """The base class of all errors of this package, and the error for a response that is neither a
    success that can be read nor 4xx nor 5xx.

    Attributes:
        status: The HTTP status; None if there was no response.
        code: The stable word that names the error, such as `session_full`; None if the response was
            no problem document (RFC 9457), for example because a proxy sent it.
        detail: One sentence for people.
        request_id: The id that also is in the logs of the service; None if there is none.
        problem: All members of the problem document; empty if there is none.
        retry_after: The seconds that the service asks to wait for; None if it does not say.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        problem: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.code = code
        self.request_id = request_id
        self.problem: Mapping[str, Any] = problem or {}
        self.retry_after = retry_after

    def __str__(self) -> str:
        words = [str(word) for word in (self.status, self.code) if word is not None]
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{' '.join(words)}{': ' if words else ''}{self.detail}{request}"


class ConnectionFailed(GameApiError):
    """There was no response. The exception of httpx is the `__cause__`."""


class TimedOut(ConnectionFailed):
    """The service did not respond in time."""


class ClientError(GameApiError):
    """The service refused the request (4xx)."""


class Unauthenticated(ClientError):
    """The service does not accept the token, or there is none (401)."""


class Forbidden(ClientError):
    """The token is valid, but does not allow this request (403)."""


class NotFound(ClientError):
    """There is no such player, session, seat or path (404)."""


class Conflict(ClientError):
    """The request contradicts the current state (409). The `code` says how."""


class AlreadyInSession(Conflict):
    """The player has a seat in another live session."""

    @property
    def session_id(self) -> str | None:
        """The session in which the player has a seat."""
        value = self.problem.get("session_id")
        return value if isinstance(value, str) else None


class SessionFull(Conflict):
    """The session has no free seat, or too few for the party."""


class SessionNotJoinable(Conflict):
    """The status of the session does not allow anybody to join."""

    @property
    def session_status(self) -> str | None:
        """The status of the session."""
        value = self.problem.get("session_status")
        return value if isinstance(value, str) else None


class UsernameTaken(Conflict):
    """Another player has this username."""


class VersionMismatch(ClientError):
    """The resource no longer has the version of `if_match` (412)."""

    @property
    def current_version(self) -> int | None:
        """The version that the resource has."""
        value = self.problem.get("current_version")
        return value if isinstance(value, int) else None


class ValidationError(ClientError):
    """The request breaks the schema (422)."""

    @property
    def errors(self) -> list[FieldError]:
        """What is wrong with which field."""
        value = self.problem.get("errors")
        return value if isinstance(value, list) else []


class RateLimited(ClientError):
    """There were too many requests (429)."""


class ServerError(GameApiError):
    """The service, or a proxy in front of it, failed (5xx)."""


class Unavailable(ServerError):
    """The service can't respond at the moment (503), for example because its database is down."""


CONFLICTS: Mapping[object, type[Conflict]] = {
    "already_in_session": AlreadyInSession,
    "session_full": SessionFull,
    "session_not_joinable": SessionNotJoinable,
    "username_taken": UsernameTaken,
}
STATUSES: Mapping[int, type[GameApiError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    412: VersionMismatch,
    422: ValidationError,
    429: RateLimited,
    503: Unavailable,
}
STATUS_CLASSES: Mapping[int, type[GameApiError]] = {4: ClientError, 5: ServerError}


def error_of_response(response: httpx.Response) -> GameApiError:
    """The error that a response stands for."""
    status, problem = response.status_code, problem_of(response)
    code, detail = problem.get("code"), problem.get("detail")
    code = code if isinstance(code, str) else None
    if status == 409:
        error: type[GameApiError] = CONFLICTS.get(code, Conflict)
    else:
        error = STATUSES.get(status) or STATUS_CLASSES.get(status // 100, GameApiError)
    reason = response.reason_phrase if response.is_error else ""
    return error(
        detail if isinstance(detail, str) else reason or "an unexpected response",
        status=status,
        code=code,
        request_id=response.headers.get("X-Request-ID"),
        problem=problem,
        retry_after=retry_after_of(response),
    )


def problem_of(response: httpx.Response) -> Mapping[str, Any]:
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/problem+json":
        return {}
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def retry_after_of(response: httpx.Response) -> float | None:
    """The seconds of the `Retry-After` header, which has either a number or an HTTP date."""
    value = response.headers.get("Retry-After", "").strip()
    if re.fullmatch("[0-9]{1,9}", value):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, (date - datetime.now(timezone.utc)).total_seconds())


def error_of_failure(failure: httpx.RequestError) -> ConnectionFailed:
    """The error that a failure of the connection stands for."""
    kind = TimedOut if isinstance(failure, httpx.TimeoutException) else ConnectionFailed
    return kind(str(failure) or type(failure).__name__)
