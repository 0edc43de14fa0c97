"""What a failure of the database means to a client."""

import pytest
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

from game_api.errors import ApiError, DatabaseUnavailable, InternalError, SessionFull, translated


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("reset"),
        NetworkTimeout("slow"),
        NotPrimaryError("stepped down"),
        ServerSelectionTimeoutError("nobody there"),
        ExecutionTimeout("slow", 50),
        OperationFailure("rotated", 18),
        OperationFailure("stepping down", 189),
        WriteConcernError("stepped down before the majority had it", 189),
        BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 91}]}),
    ],
)
def test_a_database_that_can_not_answer_now_is_503(error: PyMongoError) -> None:
    refusal = translated(error)
    assert isinstance(refusal, DatabaseUnavailable) and refusal.headers["Retry-After"] == "1"


@pytest.mark.parametrize(
    "error",
    [
        OperationFailure("no such command", 59),
        BulkWriteError({"writeErrors": [{"code": 2}], "writeConcernErrors": []}),
        ValueError("ours"),
    ],
)
def test_any_other_failure_is_500(error: Exception) -> None:
    assert isinstance(translated(error), InternalError)


def test_a_refusal_stays_what_it_is() -> None:
    refusal: ApiError = SessionFull()
    assert translated(refusal) is refusal
