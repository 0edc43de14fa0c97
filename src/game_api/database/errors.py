"""The errors of the driver, and what they mean for the request."""

from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
)

OUTCOME_UNKNOWN = (AutoReconnect, WriteConcernError)
"""Errors after which a write may or may not have been made."""

INTERNAL_ERROR = 1
"""The code with which a database says that it has failed itself, for instance on a full disk."""

UNAVAILABLE_CODES = {
    INTERNAL_ERROR,
    18,  # AuthenticationFailed: the password was rotated
    50,  # MaxTimeMSExpired
    91,  # ShutdownInProgress
    189,  # PrimarySteppedDown
    262,  # ExceededTimeLimit
    10107,  # NotWritablePrimary
    11600,  # InterruptedAtShutdown
    11602,  # InterruptedDueToReplStateChange
    14031,  # OutOfDiskSpace
}
"""Error codes of a database that is running but temporarily can't execute the command."""


class CredentialsError(ConnectionFailure):
    """There are no credentials that the database accepts; the text says why, without any secret."""


class LookupFailed(ConnectionFailure):
    """The name in a mongodb+srv:// connection string could not be resolved; the text says why."""


def is_unavailable(error: Exception) -> bool:
    """Whether the database could not be reached, did not answer in time, or could not serve."""
    if not isinstance(error, PyMongoError):
        return False
    if isinstance(error, BulkWriteError):
        return bool(error.details and error.details.get("writeConcernErrors"))
    if isinstance(error, OperationFailure) and error.code in UNAVAILABLE_CODES:
        return True
    return error.timeout or isinstance(error, ConnectionFailure | WriteConcernError)
