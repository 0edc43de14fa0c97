"""The base of every error that a rule or a store raises.

    ApiError                  a request that is refused, or that failed
    ├── Conflict              409: the request is valid, but the current state does not allow it
    ├── VersionMismatch       412, with `current_version`
    └── DatabaseUnavailable   503, with `Retry-After`
    InvalidField              422: a field's value breaks a rule

Each feature adds its own errors (`players/errors.py`, `sessions/errors.py`). How an error becomes a
response is defined in `http/problems.py`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class ApiError(Exception):
    """A request that is refused or that failed; the docstring is the default `detail`.

    `status` is the HTTP status code, `code` a stable snake_case word for clients, and `extra` holds
    the members that this error adds to the response.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    members: ClassVar[Mapping[str, Any]] = {}
    """The JSON schema of each extra member."""
    retry_after: ClassVar[int | None] = None
    """The number of seconds after which the client may try again."""
    headers: Mapping[str, str] = {}
    """Further headers of the response."""

    def __init__(self, detail: str | None = None, **extra: Any) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip().partition("\n")[0]
        self.extra = extra
        super().__init__(self.detail)


class Conflict(ApiError):
    """The request is valid, but the current state does not allow it."""

    status = 409


class VersionMismatch(ApiError):
    """The resource has changed since the version that `If-Match` names."""

    status = 412
    code = "version_mismatch"
    members = {"current_version": {"type": "integer", "format": "int64", "examples": [3]}}

    def __init__(self, current_version: int) -> None:
        super().__init__(current_version=current_version)


class DatabaseUnavailable(ApiError):
    """The database did not answer in time; a requested change may or may not have been made."""

    status = 503
    code = "database_unavailable"
    retry_after = 1


class InvalidField(ValueError):
    """The value of a field breaks a rule; `field` is the field's name."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)
