"""Tells schemathesis how to generate the string formats of the OpenAPI document."""

from typing import Annotated

import schemathesis
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from game_api.values import VISIBLE_TEXT, VisibleText

text = TypeAdapter(Annotated[str, VisibleText])


def is_visible(value: str) -> bool:
    try:
        text.validate_python(value)
    except ValidationError:
        return False
    return True


schemathesis.openapi.format(
    VISIBLE_TEXT["format"], st.text(min_size=1, max_size=32).map(str.strip).filter(is_visible)
)
