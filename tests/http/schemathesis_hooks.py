"""Extends schemathesis: the string formats of the OpenAPI document, and a check of permissions."""

import os
from typing import Annotated, Any

import schemathesis
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from game_api.access import policy
from game_api.access.policy import permission_for
from game_api.http.openapi import numbers
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


@schemathesis.hook
def before_load_schema(context: schemathesis.HookContext, raw_schema: dict[str, Any]) -> None:
    """Say what the document leaves out, so that no valid request is taken for an invalid one.

    The formats of numbers are annotations that no number can violate. If schemathesis drops one, it
    believes that a valid body with visible text is invalid. In place of an optional body, null
    counts as no body.
    """
    for schema in numbers(raw_schema):
        schema.pop("format", None)
    for item in raw_schema["paths"].values():
        for operation in item.values():
            body = operation.get("requestBody", {"required": True})
            if not body.get("required", False):
                content = body["content"]["application/json"]
                content["schema"] = {"anyOf": [content["schema"], {"type": "null"}]}


OUTSIDER = os.environ["OUTSIDERS_TOKEN"]
"""A token of a player who takes part in nothing."""


@schemathesis.check
def an_outsider_is_refused(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """What an admin may do to a resource of others, a player may not do."""
    operation = case.operation.definition.raw["operationId"]
    condition = permission_for(operation).player
    if response.status_code >= 300 or condition in (policy.YES, policy.FILTERED):
        return
    if isinstance(case.body, dict) and not case.body.keys() & {"player_id", "host_player_id"}:
        if condition in (policy.OWN_ID, policy.OWN_HOST):
            return  # An absent id stands for the caller.
    again = case.call(headers={"Authorization": f"Bearer {OUTSIDER}"})
    # 404: the request of the admin has deleted the resource.
    assert again.status_code in (403, 404), f"{operation} permits an outsider {again.status_code}"
