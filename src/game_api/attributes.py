"""Attributes: the small bag of values that players and sessions carry for the game."""

import json
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StringConstraints
from pydantic_core import PydanticCustomError

MAX_BYTES = 16 * 1024


def _no_int(value: object) -> object:
    """An integer that is none of 64 bits must not pass as a float, which would round it."""
    if isinstance(value, int):
        raise PydanticCustomError("int_64_bits", "an integer must fit 64 bits")
    return value


Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,64}$")]
Text = Annotated[str, StringConstraints(strict=True, max_length=2048)]
Integer = Annotated[int, Field(strict=True, ge=-(2**63), le=2**63 - 1)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False), BeforeValidator(_no_int)]
Value = StrictBool | Integer | Number | Text


def _fits(attributes: dict[str, Value]) -> dict[str, Value]:
    """Refuse more than 16 KiB of compact UTF-8 JSON."""
    text = json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > MAX_BYTES:
        raise PydanticCustomError(
            "attributes_too_large", "attributes are at most 16384 bytes of compact UTF-8 JSON"
        )
    return attributes


Attributes = Annotated[
    dict[Key, Value],
    Field(
        max_length=20,
        json_schema_extra={"additionalProperties": False},
        description="At most 20 values (text, number or boolean), 16 KiB in all.",
        examples=[{"map": "harbour", "ranked": True}],
    ),
    AfterValidator(_fits),
]
"""A dict of at most 20 strings (<= 2048 characters), finite numbers or booleans."""


def same(one: object, other: object) -> bool:
    """Equality that tells 1, 1.0 and True apart inside of attributes, as JSON does."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one == other and all(type(one[key]) is type(other[key]) for key in one)
    return one == other
