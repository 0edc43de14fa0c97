"""Pagination: pages, and opaque cursors that are valid only for one list with its filters."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from game_api.http.problems import ValidationFailed
from game_api.values import DecimalText

DIGEST_SIZE = 8

Limit = Annotated[int, Query(ge=1, le=100, description="The maximum number of items."), DecimalText]
Cursor = Annotated[
    str | None,
    Query(max_length=512, description="The `next_cursor` of the previous page."),
]


def _digest(filters: Mapping[str, Any], key: str) -> bytes:
    text = json.dumps([filters, key], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_SIZE).digest()


def encode_cursor(filters: Mapping[str, Any], key: str) -> str:
    """A cursor that points behind the item with this key.

    `filters` identifies the list and all of its filters. The cursor contains a digest of them, so
    that it is accepted only together with the same filters.
    """
    return base64.urlsafe_b64encode(_digest(filters, key) + key.encode()).decode().rstrip("=")


def decode_cursor(filters: Mapping[str, Any], cursor: str) -> str:
    """The key that the cursor points behind.

    Raises ValidationFailed for a cursor that `encode_cursor` did not make with these filters.
    """
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        key = raw[DIGEST_SIZE:].decode()
    except (binascii.Error, ValueError):
        key = ""
    # Encoding the key again also detects other base64 spellings of the same bytes.
    if cursor != encode_cursor(filters, key):
        raise ValidationFailed.at(
            "query", "cursor", msg="the cursor does not belong to this list with these filters"
        )
    return key


NextCursor = Annotated[
    str | None,
    Field(description="Pass it as `cursor` to get the next page; null on the last page."),
]


def next_cursor(keys: Sequence[str], limit: int, filters: Mapping[str, Any]) -> str | None:
    """The cursor of the page behind the first `limit` items; None if there are no more items.

    The caller reads `limit + 1` items; the last one only shows that there is another page. `keys`
    are those of all items that were read.
    """
    return encode_cursor(filters, keys[limit - 1]) if len(keys) > limit else None
