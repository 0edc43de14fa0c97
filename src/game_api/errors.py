"""Every refusal and failure, rendered as application/problem+json (RFC 9457).

    ApiError                        an answer that is not the one asked for
    ├── ValidationFailed            422, with `errors`
    ├── NotFound, MethodNotAllowed, BodyTooLarge, UnsupportedMediaType
    ├── InternalError, DatabaseUnavailable, ShuttingDown
    ├── VersionMismatch             412, with `current_version`
    ├── PlayerNotFound, SessionNotFound, NotInSession, MemberNotFound       404
    └── Conflict                    409: the request is right, the state is not
        ├── UsernameTaken, PlayerExists, InSession, AlreadyInSession
        └── SessionFull, SessionNotJoinable, SessionOver, IllegalTransition,
            NotEnoughPlayers, TooManyMembers, NotAMember

Rules and stores raise these; only this module knows how they look on the wire.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi.exceptions import RequestValidationError
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
UNAVAILABLE = {
    18,  # AuthenticationFailed: the password was rotated
    50,  # MaxTimeMSExpired
    91,  # ShutdownInProgress
    189,  # PrimarySteppedDown
    262,  # ExceededTimeLimit
    10107,  # NotWritablePrimary
    11600,  # InterruptedAtShutdown
    11602,  # InterruptedDueToReplStateChange
}
"""Codes of a database that is there, but can't do what is asked at the moment."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


class ApiError(Exception):
    """An answer other than the one asked for; its docstring is the default `detail`."""

    status: ClassVar[int]
    code: ClassVar[str]
    members: ClassVar[Mapping[str, Any]] = {}
    """JSON schemas of the members this error adds to the problem document."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip().partition("\n")[0]
        self.headers = dict(headers or {})
        self.extra = members
        super().__init__(self.detail)


class ValidationFailed(ApiError):
    """The request breaks a rule of its form."""

    status = 422
    code = "validation_error"
    members = {
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["loc", "msg", "type"],
                "properties": {
                    "loc": {
                        "type": "array",
                        "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    },
                    "msg": {"type": "string"},
                    "type": {"type": "string"},
                },
            },
        }
    }

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(errors=[{key: e[key] for key in ("loc", "msg", "type")} for e in errors])

    @classmethod
    def at(cls, *loc: str, msg: str, type: str = "value_error") -> "ValidationFailed":
        """One mistake, at `loc` (such as `"query", "cursor"`)."""
        return cls([{"loc": loc, "msg": msg, "type": type}])


class NotFound(ApiError):
    """There is nothing at this path."""

    status = 404
    code = "not_found"


class MethodNotAllowed(ApiError):
    """The path exists, but not with this method; `Allow` lists those it has."""

    status = 405
    code = "method_not_allowed"


class BodyTooLarge(ApiError):
    """The body is larger than 64 KiB."""

    status = 413
    code = "body_too_large"

    def __init__(self) -> None:
        # The rest of the body is never read, so the connection can't serve another request.
        super().__init__(headers={"Connection": "close"})


class UnsupportedMediaType(ApiError):
    """The body must be JSON, sent as `Content-Type: application/json`."""

    status = 415
    code = "unsupported_media_type"


class InternalError(ApiError):
    """Something went wrong here; the log has it under this request's id."""

    status = 500
    code = "internal_error"


class DatabaseUnavailable(ApiError):
    """The database did not answer in time; what was asked may or may not have happened."""

    status = 503
    code = "database_unavailable"

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": "1"})


class CredentialsError(ConnectionFailure):
    """There are no credentials that the database takes; the text says why, and has no secret."""


class ShuttingDown(ApiError):
    """This process is about to stop and takes no new work."""

    status = 503
    code = "shutting_down"


class VersionMismatch(ApiError):
    """The resource has changed since the version that `If-Match` names."""

    status = 412
    code = "version_mismatch"
    members = {"current_version": {"type": "integer"}}

    def __init__(self, current_version: int) -> None:
        super().__init__(current_version=current_version)


class PlayerNotFound(ApiError):
    """There is no such player."""

    status = 404
    code = "player_not_found"
    members = {"player_id": {"type": "string"}}

    def __init__(self, player_id: str) -> None:
        super().__init__(player_id=player_id)


class SessionNotFound(ApiError):
    """There is no such session."""

    status = 404
    code = "session_not_found"
    members = {"session_id": {"type": "string"}}

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id=session_id)


class NotInSession(ApiError):
    """The player has no seat in a live session."""

    status = 404
    code = "not_in_session"


class MemberNotFound(ApiError):
    """The player has no seat in this session."""

    status = 404
    code = "not_a_member"


class Conflict(ApiError):
    """The request is right, but the present state does not allow it."""

    status = 409


class UsernameTaken(Conflict):
    """Another player has this username (its case does not matter)."""

    code = "username_taken"


class PlayerExists(Conflict):
    """There is a player with this player_id already."""

    code = "player_exists"


class InSession(Conflict):
    """The player has a seat in a live session and must leave it first."""

    code = "in_session"
    members = {"session_id": {"type": "string"}}

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id=session_id)


class AlreadyInSession(Conflict):
    """The player has a seat in another live session."""

    code = "already_in_session"
    members = {"session_id": {"type": "string"}, "player_id": {"type": "string"}}

    def __init__(self, session_id: str, player_id: str) -> None:
        super().__init__(session_id=session_id, player_id=player_id)


class SessionFull(Conflict):
    """The session has no free seat for everyone who asks."""

    code = "session_full"


class SessionNotJoinable(Conflict):
    """The session takes no newcomers in its present status."""

    code = "session_not_joinable"
    members = {"session_status": {"type": "string"}}

    def __init__(self, session_status: str) -> None:
        super().__init__(session_status=session_status)


class SessionOver(Conflict):
    """The session has ended and can't change any more."""

    code = "session_over"
    members = {"session_status": {"type": "string"}}

    def __init__(self, session_status: str) -> None:
        super().__init__(session_status=session_status)


class IllegalTransition(Conflict):
    """A session in this status can't go to that one."""

    code = "illegal_transition"
    members = {
        "from": {"type": "string"},
        "to": {"type": "string"},
        "allowed": {"type": "array", "items": {"type": "string"}},
    }

    def __init__(self, source: str, target: str, allowed: Sequence[str]) -> None:
        super().__init__()
        self.extra = {"from": source, "to": target, "allowed": list(allowed)}


class NotEnoughPlayers(Conflict):
    """Fewer players are seated than `min_players`."""

    code = "not_enough_players"
    members = {"player_count": {"type": "integer"}, "min_players": {"type": "integer"}}

    def __init__(self, player_count: int, min_players: int) -> None:
        super().__init__(player_count=player_count, min_players=min_players)


class TooManyMembers(Conflict):
    """More players are seated than the new `max_players`."""

    code = "too_many_members"
    members = {"player_count": {"type": "integer"}}

    def __init__(self, player_count: int) -> None:
        super().__init__(player_count=player_count)


class NotAMember(Conflict):
    """The host must be a member of the session."""

    code = "not_a_member"


def problem(request: Request, error: ApiError) -> Response:
    """The error as an application/problem+json response."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request.scope.get("request_id"),
        **error.extra,
    }
    return JSONResponse(
        document, error.status, headers=dict(error.headers), media_type=PROBLEM_JSON
    )


def database_unavailable(error: PyMongoError) -> bool:
    """Whether the database could not be reached, or not in time, or not as its primary."""
    if isinstance(error, BulkWriteError):
        return bool(error.details and error.details.get("writeConcernErrors"))
    if isinstance(error, OperationFailure) and error.code in UNAVAILABLE:
        return True
    return error.timeout or isinstance(error, ConnectionFailure | WriteConcernError)


def translated(error: Exception) -> ApiError:
    """The ApiError that stands for a failure that is none itself."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, PyMongoError) and database_unavailable(error):
        return DatabaseUnavailable()
    return InternalError()


def allowed_methods(request: Request) -> str:
    """What `Allow` says of the path: the methods of every route there, not of the first alone."""
    app: Starlette = request.app
    allowed = [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in app.routes
        )
    ]
    return ", ".join(allowed or ("GET", "HEAD"))  # none: a file of /docs, which says so itself


async def on_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return problem(request, error)


async def on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem(request, ValidationFailed(error.errors()))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's and FastAPI's own: an unknown path, a wrong method, an unreadable body."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return problem(request, MethodNotAllowed(headers={"Allow": allowed_methods(request)}))
    if error.status_code == 400:
        return problem(request, ValidationFailed.at("body", msg=error.detail, type="json_invalid"))
    return problem(request, NotFound())


async def on_database_error(request: Request, error: Exception) -> Response:
    """503 when the database could not be reached; anything else is ours, and is logged."""
    refusal = translated(error)
    if isinstance(refusal, InternalError):
        raise error
    if not isinstance(error, CredentialsError):  # told once for all requests, by the connection
        log.warning("the database did not answer: %s: %s", type(error).__name__, error)
    return problem(request, refusal)


HANDLERS: dict[int | type[Exception], Any] = {
    ApiError: on_api_error,
    RequestValidationError: on_validation_error,
    HTTPException: on_http_exception,
    PyMongoError: on_database_error,
}
