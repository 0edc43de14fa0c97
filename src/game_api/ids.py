"""Identifiers that sort by creation time, and tokens."""

import time

from uuid_utils import uuid4, uuid7


def new_id() -> str:
    """A UUIDv7; the ids of one process are strictly increasing."""
    return str(uuid7())


def next_id(former: str) -> str:
    """The id that takes the place of one that can't be used: always the same, and sorted behind."""
    return f"{former}-1"


def new_token() -> str:
    """A random token of 32 hexadecimal digits."""
    return uuid4().hex


def new_timed_token() -> str:
    """A token of 32 hexadecimal digits that tells when it was made (a UUIDv7)."""
    return uuid7().hex


def token_age(token: str) -> float:
    """The age of a timed token in seconds, by the clock of this process.

    It is 0 for a token from the future, and infinite for a token without a time.
    """
    if len(token) != 32 or token[12] != "7":
        return float("inf")
    return max(0.0, time.time() - int(token[:12], 16) / 1000)
