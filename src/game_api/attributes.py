"""Attributes: the small bag of values that players and sessions carry for the game."""

import json
import math
from typing import Annotated

from pydantic import AfterValidator, Field, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_BYTES = 16 * 1024
MAX_TEXT = 2048


def _value(value: object) -> object:
    """A text, number or boolean that fits, as it is."""
    match value:
        case bool():
            return value
        case int() if not -(2**63) <= value < 2**63:
            raise PydanticCustomError("int_64_bits", "an integer must fit 64 bits")
        case float() if not math.isfinite(value):
            raise PydanticCustomError("finite_number", "a number must be finite")
        case str() if len(value) > MAX_TEXT or not value.isascii() and _lone_surrogate(value):
            raise PydanticCustomError("text", "a text is at most 2048 characters of Unicode")
        case int() | float() | str():
            return value
    raise PydanticCustomError("attribute_value", "must be a text, a number or a boolean")


def _lone_surrogate(text: str) -> bool:
    """Whether UTF-8 has no bytes for it."""
    return any("\ud800" <= character <= "\udfff" for character in text)


Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,64}$")]
Value = Annotated[
    bool | int | float | str,
    PlainValidator(_value),  # a union's own errors would name its branches, not the mistake
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "boolean"},
                {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
                {"type": "number"},
                {"type": "string", "maxLength": MAX_TEXT},
            ]
        }
    ),
]


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
