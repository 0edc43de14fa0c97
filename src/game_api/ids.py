"""Identifiers that sort by creation time, and unique tokens."""

from uuid_utils import uuid4, uuid7


def new_id() -> str:
    """A UUIDv7; the ids of one process are strictly increasing."""
    return str(uuid7())


def new_token() -> str:
    """A random token of 32 hexadecimal digits."""
    return uuid4().hex
