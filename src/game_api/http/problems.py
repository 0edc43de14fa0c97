"""Errors as HTTP responses: `application/problem+json` (RFC 9457).

This module holds the errors of HTTP itself and the exception handlers of the app. The errors of the
features derive from `game_api.errors.ApiError`.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pymongo.errors import PyMongoError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match

from game_api.database.errors import CredentialsError, is_unavailable
from game_api.errors import ApiError, DatabaseUnavailable, InvalidField

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
UNREADABLE_BODY = "There was an error parsing the body"
"""The detail of FastAPI's HTTPException for a body that it can't decode."""


class ValidationFailed(ApiError):
    """The request is malformed; `errors` lists what is wrong."""

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
        """A single error at `loc` (such as `"query", "cursor"`)."""
        return cls([{"loc": loc, "msg": msg, "type": type}])


class NotFound(ApiError):
    """There is no resource at this path."""

    status = 404
    code = "not_found"


class MethodNotAllowed(ApiError):
    """The path does not support this method; `Allow` lists the methods that it supports."""

    status = 405
    code = "method_not_allowed"


class RequestTimeout(ApiError):
    """The body of the request did not arrive within 20 seconds."""

    status = 408
    code = "request_timeout"


class BodyTooLarge(ApiError):
    """The body is larger than 64 KiB."""

    status = 413
    code = "body_too_large"


class UnsupportedMediaType(ApiError):
    """The body must be JSON, sent with `Content-Type: application/json`."""

    status = 415
    code = "unsupported_media_type"


class InternalError(ApiError):
    """An unexpected error occurred; the server's log has the details under this request id."""

    status = 500
    code = "internal_error"


class ShuttingDown(ApiError):
    """This process is shutting down and accepts no new requests."""

    status = 503
    code = "shutting_down"


CODES = {413: BodyTooLarge.code, 422: ValidationFailed.code}
"""The codes of statuses whose phrases differ between the versions of Python."""


def problem(
    request: Request, error: ApiError, headers: Mapping[str, str] | None = None
) -> Response:
    """The error as an application/problem+json response, with these additional headers."""
    headers = dict(headers or {})
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, BodyTooLarge | RequestTimeout):
        headers["Connection"] = "close"  # The rest of the request is not read.
    return _response(request, error.status, error.code, error.detail, error.extra, headers)


def _response(
    request: Request,
    status: int,
    code: str,
    detail: str,
    extra: Mapping[str, Any],
    headers: Mapping[str, str],
) -> Response:
    document = {
        "type": "about:blank",
        "title": phrase(status),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request.scope.get("request_id"),
        **extra,
    }
    return JSONResponse(document, status, headers=dict(headers), media_type=PROBLEM_JSON)


def allowed_methods(request: Request) -> str:
    """The value of `Allow`: the methods of every route at the path, not only of the first one."""
    app: Starlette = request.app
    allowed = [
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in app.routes
        )
    ]
    return ", ".join(allowed or ("GET", "HEAD"))  # The static files of /docs are no routes.


async def on_api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return problem(request, error)


async def on_invalid_field(request: Request, error: Exception) -> Response:
    """A rule refused a field of the body."""
    assert isinstance(error, InvalidField)
    return problem(request, ValidationFailed.at("body", error.field, msg=str(error)))


async def on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem(request, ValidationFailed(error.errors()))


async def on_http_exception(request: Request, error: Exception) -> Response:
    """An HTTPException of Starlette, FastAPI or a library, which keeps its status and headers."""
    assert isinstance(error, HTTPException)
    status, headers = error.status_code, dict(error.headers or {})
    if status == 404:
        return problem(request, NotFound(), headers)
    if status == 405:
        return problem(request, MethodNotAllowed(), headers | {"Allow": allowed_methods(request)})
    if error.detail == UNREADABLE_BODY:
        mistake = ValidationFailed.at("body", msg=error.detail, type="json_invalid")
        return problem(request, mistake, headers)
    if status in (204, 304):  # These have no body.
        return Response(status_code=status, headers=headers)
    code = CODES.get(status) or re.sub(r"[^a-z]+", "_", phrase(status).lower())
    return _response(request, status, code, str(error.detail), {}, headers)


def phrase(status: int) -> str:
    """The reason phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # The status is not registered.
        return "Error"


async def on_database_error(request: Request, error: Exception) -> Response:
    """503 when the database is unavailable; any other error of the driver is unexpected."""
    if not is_unavailable(error):
        raise error
    if not isinstance(error, CredentialsError):  # The connection logs these, once for all requests.
        log.warning("the database did not answer: %s: %s", type(error).__name__, error)
    return problem(request, DatabaseUnavailable())


HANDLERS: dict[int | type[Exception], Any] = {
    ApiError: on_api_error,
    InvalidField: on_invalid_field,
    RequestValidationError: on_validation_error,
    HTTPException: on_http_exception,
    PyMongoError: on_database_error,
}
