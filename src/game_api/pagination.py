"""Cursors: opaque positions in a list, good only for the list and filters they came from."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from game_api.errors import ValidationFailed

Item = TypeVar("Item")
DIGEST_SIZE = 8

Limit = Annotated[int, Query(ge=1, le=100, description="How many items at most.")]
Cursor = Annotated[
    str | None,
    Query(max_length=512, description="`next_cursor` of the page before; opaque."),
]


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: str | None = Field(
        description="Pass it as `cursor` for the next page; null on the last one."
    )


def _digest(filters: Mapping[str, Any], key: str) -> bytes:
    text = json.dumps([filters, key], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_SIZE).digest()


def encode_cursor(filters: Mapping[str, Any], key: str) -> str:
    """A cursor that stands after the item with this key.

    `filters` names the list and everything that narrows it. The cursor holds only a digest of
    it, so that the next request must bring the same.
    """
    return base64.urlsafe_b64encode(_digest(filters, key) + key.encode()).decode().rstrip("=")


def decode_cursor(filters: Mapping[str, Any], cursor: str) -> str:
    """The key that the cursor stands after.

    Raises ValidationFailed for a cursor that was not made by `encode_cursor` with these filters.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        key = raw[DIGEST_SIZE:].decode()
    except (binascii.Error, ValueError):
        key = ""
    # Comparing what the key would give also refuses other spellings of the same bytes.
    if cursor != encode_cursor(filters, key):
        raise ValidationFailed.at(
            "query", "cursor", msg="the cursor is not one of this list with these filters"
        )
    return key


def page_of(items: Sequence[Item], limit: int, filters: Mapping[str, Any], key: str) -> Page[Item]:
    """A page out of `limit + 1` items read, of which the last only says that there is more.

    `key` is the attribute that the list is ordered by.
    """
    shown = items[:limit]
    more = len(items) > limit
    return Page(
        items=list(shown),
        next_cursor=encode_cursor(filters, getattr(shown[-1], key)) if more else None,
    )
