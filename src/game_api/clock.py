"""Timestamps: UTC with millisecond precision, the precision of BSON."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import WithJsonSchema


def utc_now() -> datetime:
    """The current time in UTC, truncated to milliseconds."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def rfc3339(moment: datetime) -> str:
    """The time as RFC 3339: `2026-11-22T19:00:00.123Z`."""
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


Timestamp = Annotated[
    str,
    WithJsonSchema(
        {"type": "string", "format": "date-time", "examples": ["2026-11-22T19:00:00.123Z"]}
    ),
]
"""A time as `rfc3339` writes it."""
