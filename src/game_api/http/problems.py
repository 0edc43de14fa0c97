"""Errors as HTTP responses: `application/problem+json` (RFC 9457).

This module holds the errors of HTTP itself and the exception handlers of the app. The errors of the
features derive from `game_api.errors.ApiError`.
"""

import logging
import re
from collections.abc import Mapping, Sequence
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
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    428: "Precondition Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
"""The titles of problems. The phrases of `http.HTTPStatus` differ between versions of Python."""

MAX_ERRORS = 50
MAX_LOCATION, MAX_MESSAGE = 100, 300
"""How many validation errors a response lists, and how long their texts are, in characters."""


class ValidationFailed(ApiError):
    """The request is malformed; `errors` lists what is wrong, at most 50 mistakes."""

    status = 422
    code = "validation_error"
    members = {
        "errors": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/FieldError"},
            "examples": [
                [{"loc": ["body", "username"], "msg": "Field required", "type": "missing"}]
            ],
        },
        "more_errors": {
            "type": "integer",
            "format": "int32",
            "description": "How many further mistakes are not listed; absent if there are none.",
        },
    }

    def __init__(self, errors: Sequence[Mapping[str, Any]]) -> None:
        listed = [
            {
                "loc": [shorten(part, MAX_LOCATION) for part in error["loc"]],
                "msg": shorten(error["msg"], MAX_MESSAGE),
                "type": error["type"],
            }
            for error in errors[:MAX_ERRORS]
        ]
        more = len(errors) - len(listed)
        super().__init__(errors=listed)
        if more:
            self.extra["more_errors"] = more

    @classmethod
    def at(cls, *loc: str | int, msg: str, type: str = "value_error") -> "ValidationFailed":
        """A single error at `loc` (such as `"query", "cursor"`)."""
        return cls([{"loc": loc, "msg": msg, "type": type}])


def shorten(value: Any, length: int) -> Any:
    """A text of at most so many characters, without lone surrogates; other values unchanged."""
    if not isinstance(value, str):
        return value
    if len(value) > length:
        value = value[: length - 1] + "\u2026"
    return value.encode("utf-8", "backslashreplace").decode()


class NotFound(ApiError):
    """There is no resource at this path."""

    status = 404
    code = "not_found"


class MethodNotAllowed(ApiError):
    """The path does not support this method; `Allow` lists the methods that it supports."""

    status = 405
    code = "method_not_allowed"


class BadRequest(ApiError):
    """The request is not valid HTTP/1.1."""

    status = 400
    code = "bad_request"


class RequestTimeout(ApiError):
    """The request was not complete within 20 seconds."""

    status = 408
    code = "request_timeout"


class RequestHeadTooLarge(ApiError):
    """The head of the request is larger than 64 KiB."""

    status = 431
    code = "request_head_too_large"


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
    retry_after = 1


CODES = {413: BodyTooLarge.code, 422: ValidationFailed.code, 500: InternalError.code}
"""The codes of statuses whose code is not their title in snake case."""


def problem(
    request: Request, error: ApiError, headers: Mapping[str, str] | None = None
) -> Response:
    """The error as an application/problem+json response, with these additional headers."""
    headers = {**error.headers, **(headers or {})}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, BodyTooLarge):
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
        "title": title(status),
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
    allowed = allowed or ["GET"]  # The static files of /docs are not routes.
    return ", ".join(allowed).replace("GET", "GET, HEAD")


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
    if status in (204, 304):  # These have no body.
        return Response(status_code=status, headers=headers)
    code = CODES.get(status) or re.sub(r"[^a-z]+", "_", title(status).lower())
    return _response(request, status, code, str(error.detail), {}, headers)


def title(status: int) -> str:
    """The title of a problem with this status."""
    return TITLES.get(status, "Error")


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


async def response_to(request: Request, error: Exception) -> Response:
    """The response that the app gives to this exception. Raises it if there is none."""
    for kind in type(error).__mro__:
        if kind in HANDLERS:
            response: Response = await HANDLERS[kind](request, error)
            return response
    raise error
