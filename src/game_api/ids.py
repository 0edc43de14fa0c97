"""Identifiers that sort by the time they were made."""

from uuid_utils import uuid7


def new_id() -> str:
    """A UUIDv7; those of one process are strictly increasing."""
    return str(uuid7())
