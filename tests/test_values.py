"""Attributes: the accepted and the refused values."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from game_api.values import Attributes, unchanged

adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(Attributes)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"a": "x", "B_2": 1, "c": 1.5, "d": True},
        {"a": "x" * 2048},
        {"a" * 64: 1},
        {"a": 2**63 - 1, "b": -(2**63)},
        {f"k{n}": n for n in range(20)},
        {"a": "\u0000", "b": "\U0001f3b2", "c": ""},
    ],
)
def test_valid_attributes_are_kept_unchanged(attributes: dict[str, Any]) -> None:
    kept = adapter.validate_python(attributes)
    assert unchanged(kept, attributes)


@pytest.mark.parametrize(
    "attributes",
    [
        {"a": None},
        {"a": []},
        {"a": {}},
        {"a": "x" * 2049},
        {"a" * 65: 1},
        {"": 1},
        {"a.b": 1},
        {"$a": 1},
        {"a\n": 1},
        {"a": 2**63},
        {"a": -(2**63) - 1},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": "\ud800"},
        {f"k{n}": n for n in range(21)},
        {f"k{n}": "x" * 2048 for n in range(8)},
        {f"k{n}": "\u20ac" * 1024 for n in range(6)},
        [],
        "x",
        None,
    ],
)
def test_invalid_attributes_are_refused(attributes: Any) -> None:
    with pytest.raises(ValidationError):
        adapter.validate_python(attributes)


def test_attributes_may_have_exactly_16_kib() -> None:
    attributes = {f"k{n}": "x" * 1630 for n in range(10)}
    size = len(json.dumps(attributes, separators=(",", ":")))
    attributes["k0"] += "x" * (16384 - size)
    adapter.validate_python(attributes)
    attributes["k9"] += "x"
    with pytest.raises(ValidationError, match="16384"):
        adapter.validate_python(attributes)
