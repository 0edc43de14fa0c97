"""Error responses for failures of the driver, invalid fields, and HTTPExceptions."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
)

from game_api.database.errors import is_unavailable
from game_api.errors import InvalidField
from game_api.http.middleware import RequestContext
from game_api.http.problems import HANDLERS
from game_api.http.routing import ApiRoute
from game_api.observability.metrics import Metrics
from tests.apps import running
from tests.http.checks import assert_problem


@pytest.fixture
async def failing() -> AsyncIterator[httpx2.AsyncClient]:
    """An app whose only endpoint raises the error that the test has added to `errors`."""
    router = APIRouter(route_class=ApiRoute)

    @router.get("/", operation_id="getHealth")  # An operation that needs no token.
    async def fail() -> None:
        raise errors.pop()

    app = FastAPI(exception_handlers=HANDLERS)
    app.add_middleware(RequestContext, metrics=Metrics())
    app.include_router(router)
    async with running(app) as started:
        yield started.client


errors: list[Exception] = []


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("reset"),
        NetworkTimeout("slow"),
        NotPrimaryError("stepped down"),
        ServerSelectionTimeoutError("no server"),
        ExecutionTimeout("slow", 50),
        OperationFailure("rotated", 18),
        OperationFailure("stepping down", 189),
        WriteConcernError("stepped down before the majority had it", 189),
        BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 91}]}),
    ],
)
async def test_an_unavailable_database_is_503(
    failing: httpx2.AsyncClient, error: PyMongoError
) -> None:
    errors.append(error)
    response = await failing.get("/")
    assert_problem(response, 503, "database_unavailable")
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "error",
    [
        OperationFailure("no such command", 59),
        BulkWriteError({"writeErrors": [{"code": 2}], "writeConcernErrors": []}),
        ValueError("a bug"),
    ],
)
async def test_any_other_failure_is_500(failing: httpx2.AsyncClient, error: Exception) -> None:
    assert not is_unavailable(error)
    errors.append(error)
    assert_problem(await failing.get("/"), 500, "internal_error")


async def test_an_invalid_field_of_a_rule_is_422(failing: httpx2.AsyncClient) -> None:
    errors.append(InvalidField("min_players", "is too large"))
    problem = assert_problem(await failing.get("/"), 422, "validation_error")
    assert problem["errors"] == [
        {"loc": ["body", "min_players"], "msg": "is too large", "type": "value_error"}
    ]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "bad_request"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "not_found"),
        (409, "conflict"),
        (413, "body_too_large"),
        (418, "error"),
        (422, "validation_error"),
        (429, "too_many_requests"),
        (503, "service_unavailable"),
        (520, "error"),
    ],
)
async def test_an_http_exception_keeps_its_status_and_headers(
    failing: httpx2.AsyncClient, status: int, code: str
) -> None:
    errors.append(HTTPException(status, "no", headers={"Retry-After": "7", "X-Reason": "x"}))
    response = await failing.get("/")
    assert_problem(response, status, code)
    assert response.headers["retry-after"] == "7" and response.headers["x-reason"] == "x"


async def test_an_http_exception_without_a_body_has_none(failing: httpx2.AsyncClient) -> None:
    errors.append(HTTPException(304, headers={"ETag": '"1"'}))
    response = await failing.get("/")
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == '"1"'
