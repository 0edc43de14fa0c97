"""Values that several features share."""

import json
import math
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

LIVE = frozenset({"waiting", "starting", "active"})
"""The statuses of a live session. A player has a seat in at most one live session."""

INCARNATION = "birth"
"""The stored name of the token that distinguishes a document from all others of the same id."""

MAX_ATTRIBUTES = 20
MAX_ATTRIBUTES_BYTES = 16 * 1024
MAX_ATTRIBUTE_TEXT = 2048


def _integer_if_whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = BeforeValidator(_integer_if_whole)
"""Lets a strict int accept `2.0`, which JSON does not distinguish from `2`; `"2"` and `true` fail.

It has to be the last item of the annotation, so that the JSON schema keeps the bounds of the int.
"""


def _attribute_value(value: object) -> object:
    """The value unchanged, if it is a string, number or boolean within the limits."""
    match value:
        case bool():
            return value
        case int() if not -(2**63) <= value < 2**63:
            raise PydanticCustomError("int_64_bits", "an integer must fit into 64 bits")
        case float() if not math.isfinite(value):
            raise PydanticCustomError("finite_number", "a number must be finite")
        case str() if len(value) > MAX_ATTRIBUTE_TEXT or _has_lone_surrogate(value):
            raise PydanticCustomError("text", "a string has at most 2048 Unicode characters")
        case int() | float() | str():
            return value
    raise PydanticCustomError("attribute_value", "must be a string, a number or a boolean")


def _has_lone_surrogate(text: str) -> bool:
    """Whether the text can't be encoded as UTF-8."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


AttributeKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,64}$")]
AttributeValue = Annotated[
    bool | int | float | str,
    PlainValidator(_attribute_value),  # The errors of a union would name its branches instead.
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "boolean"},
                {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
                {"type": "number"},
                {"type": "string", "maxLength": MAX_ATTRIBUTE_TEXT},
            ]
        }
    ),
]


def _check_size(attributes: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    """Refuse more than 16 KiB of compact UTF-8 JSON."""
    text = json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > MAX_ATTRIBUTES_BYTES:
        raise PydanticCustomError(
            "attributes_too_large", "attributes are at most 16384 bytes of compact UTF-8 JSON"
        )
    return attributes


Attributes = Annotated[
    dict[AttributeKey, AttributeValue],
    Field(
        max_length=MAX_ATTRIBUTES,
        json_schema_extra={"additionalProperties": False},
        description="At most 20 values (string, number or boolean), 16 KiB in total.",
        examples=[{"map": "harbour", "ranked": True}],
    ),
    AfterValidator(_check_size),
]
"""A dict of at most 20 strings (at most 2048 characters each), finite numbers or booleans."""


def unchanged(old: object, new: object) -> bool:
    """Whether a field keeps its value. Attributes also have to keep their types (1, 1.0, True)."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old == new and all(type(old[key]) is type(new[key]) for key in old)
    return old == new
