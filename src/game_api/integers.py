"""Integers as JSON has them: `2.0` is the number 2, `"2"` and `true` are none."""

from typing import Any

from pydantic import BeforeValidator


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = BeforeValidator(_whole)
"""Stands last in the annotation of a strict int, so that the JSON schema keeps its bounds."""
