"""Cursors: a cursor can be decoded only with the list and filters for which it was created."""

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from game_api.http.pagination import decode_cursor, encode_cursor
from game_api.http.problems import ValidationFailed

keys = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)
filters = st.dictionaries(
    st.sampled_from(["list", "status", "region", "min_free_slots"]),
    st.none() | st.text(max_size=8) | st.integers(0, 9) | st.lists(st.text(max_size=3)),
)


@given(filters, keys)
def test_a_cursor_contains_its_key(wanted: dict[str, Any], key: str) -> None:
    assert decode_cursor(wanted, encode_cursor(wanted, key)) == key


@given(filters, filters, keys)
def test_a_cursor_is_valid_only_for_its_own_filters(
    one: dict[str, Any], other: dict[str, Any], key: str
) -> None:
    if one != other:
        with pytest.raises(ValidationFailed):
            decode_cursor(other, encode_cursor(one, key))


@given(filters, st.text() | st.text(string.ascii_letters + string.digits + "-_=", max_size=40))
def test_any_other_text_is_refused(wanted: dict[str, Any], cursor: str) -> None:
    with pytest.raises(ValidationFailed):
        decode_cursor(wanted, cursor)


@given(filters, keys, st.data())
def test_a_cursor_with_one_character_changed_is_refused(
    wanted: dict[str, Any], key: str, data: st.DataObject
) -> None:
    cursor = encode_cursor(wanted, key)
    position = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from(string.ascii_letters + string.digits + "-_="))
    changed = cursor[:position] + other + cursor[position + 1 :]
    if changed != cursor:
        with pytest.raises(ValidationFailed):
            decode_cursor(wanted, changed)
