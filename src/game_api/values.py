"""Values that several features share."""

import json
import math
import re
import unicodedata
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from typing_extensions import TypeAliasType

LIVE = frozenset({"waiting", "starting", "active"})
"""The statuses of a live session. A player has a seat in at most one live session."""

INCARNATION = "birth"
"""The stored name of the token that distinguishes a document from all others of the same id."""

ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
"""The form of the ids of players and sessions."""

MAX_ATTRIBUTES = 20
MAX_ATTRIBUTES_BYTES = 16 * 1024
MAX_ATTRIBUTE_KEY = 64
MAX_ATTRIBUTE_TEXT = 2048


def _integer_if_whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = BeforeValidator(_integer_if_whole)
"""Lets a strict int accept `2.0`, which JSON does not distinguish from `2`; `"2"` and `true` fail.

It has to be the last item of the annotation, so that the JSON schema keeps the bounds of the int.
"""


def _plain_decimal(value: Any) -> Any:
    # Python's own syntax also has `1_0`, `+10` and other scripts' digits.
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]+", value, re.ASCII):
        raise PydanticCustomError("int_parsing", "must be an integer in decimal digits")
    return value


def _true_or_false(value: Any) -> Any:
    if isinstance(value, str) and value not in ("true", "false"):
        raise PydanticCustomError("bool_parsing", "must be true or false")
    return value


DecimalText = BeforeValidator(_plain_decimal)
"""Lets an integer in a query have decimal digits only. It is the last item of the annotation."""
TrueOrFalse = BeforeValidator(_true_or_false)
"""Lets a boolean in a query be `true` or `false` only."""

Int32 = Annotated[int, WithJsonSchema({"type": "integer", "format": "int32"})]
Int64 = Annotated[int, WithJsonSchema({"type": "integer", "format": "int64"})]
"""Integers of responses. They have no bounds in the JSON schema, so that these can change."""


_FORBIDDEN = (
    r"\u0000-\u001f\u007f-\u009f\u2028\u2029"  # control characters and line separators
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional formatting characters
)
_BLANK = (
    r"\u0020\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"  # white space
    r"\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200d\u2060-\u2065\u206a-\u206f"
    r"\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"  # characters that are not visible
)
_MODIFIERS = (
    r"\u0300-\u034e\u0350-\u036f\u20d0-\u20ff\ufe20-\ufe2f"  # combining marks
    r"\u180b-\u180d\u180f\ufe00-\ufe0f"  # variation selectors
    "\U000e0000-\U000e0fff"  # tags, and more variation selectors; `\u` has only four digits
)
"""Characters that only modify the one before them, so they may end a text but not begin it."""

_VISIBLE = f"[^{_FORBIDDEN}{_BLANK}{_MODIFIERS}]"

_visible_text = re.compile(f"{_VISIBLE}([^{_FORBIDDEN}]*{_VISIBLE})?[{_MODIFIERS}]*")

VISIBLE_TEXT = {"format": "visible-text"}
"""What the JSON schema of text that people see says. The API description defines this format.

The pattern itself has characters above U+FFFF, for which the regular expression engines of the
clients' languages have no common notation.
"""


def _check_visible(text: str) -> str:
    if (
        _has_lone_surrogate(text)
        or not _visible_text.fullmatch(text)
        or unicodedata.category(text[0]) in ("Cf", "Mc", "Me", "Mn")
    ):
        raise PydanticCustomError(
            "visible_text",
            "must begin and end with a visible character, and must not contain control or "
            "bidirectional formatting characters",
        )
    return text


VisibleText = AfterValidator(_check_visible)
"""Refuses text that people can't see or that disturbs other text. Joiners inside are allowed.

A field also needs `json_schema_extra=VISIBLE_TEXT`.
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
AttributeValue = TypeAliasType(
    "AttributeValue",
    Annotated[
        bool | int | float | str,
        PlainValidator(_attribute_value),  # The errors of a union would name its branches instead.
        WithJsonSchema(
            {
                "description": "A string, a finite number, or a boolean.",
                "anyOf": [
                    {"type": "boolean"},
                    {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
                    {"type": "number"},
                    {"type": "string", "maxLength": MAX_ATTRIBUTE_TEXT},
                ],
            }
        ),
    ],
)


compact_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _check_size(attributes: dict[str, AttributeValue]) -> dict[str, AttributeValue]:
    """Refuse more than 16 KiB of compact UTF-8 JSON."""
    if len(compact_json(attributes).encode()) > MAX_ATTRIBUTES_BYTES:
        raise PydanticCustomError(
            "attributes_too_large", "attributes are at most 16384 bytes of compact UTF-8 JSON"
        )
    return attributes


class _KeysByName:
    """Describes the keys by `propertyNames`, because many tools ignore `patternProperties`."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        ((pattern, values),) = schema.pop("patternProperties").items()
        return {**schema, "propertyNames": {"pattern": pattern}, "additionalProperties": values}


Attributes = TypeAliasType(
    "Attributes",
    Annotated[
        dict[AttributeKey, AttributeValue],
        _KeysByName(),
        Field(
            max_length=MAX_ATTRIBUTES,
            description="At most 20 values (string, number or boolean), 16 KiB in total.",
            examples=[{"map": "harbour", "ranked": True}],
        ),
        AfterValidator(_check_size),
    ],
)
"""A dict of at most 20 strings (at most 2048 characters each), finite numbers or booleans."""


def unchanged(old: object, new: object) -> bool:
    """Whether a field keeps its value. Attributes also have to keep their types (1, 1.0, True)."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old == new and all(type(old[key]) is type(new[key]) for key in old)
    return old == new
