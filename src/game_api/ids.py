"""Identifiers that sort by the time they were made, and tokens that are merely unique."""

from uuid_utils import uuid4, uuid7


def new_id() -> str:
    """A UUIDv7; those of one process are strictly increasing."""
    return str(uuid7())


def new_token() -> str:
    """A word that nobody else has."""
    return uuid4().hex
