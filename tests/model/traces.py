"""Traces of violations in short: the steps of the database, without what never matters."""

import re
from collections.abc import Mapping
from typing import Any

from tests.model.loop import number_of_process
from tests.model.memory import Step, shared

SHOWN = ("_id", "username", "session_id", "claim", "status", "members", "version", "revision")
TOKEN = re.compile(r"\b[0-9a-f]{32}\b")


def describe(step: Step) -> str:
    """A step of the database in one line; tokens are shown as the process and a number."""
    arguments = shared(step.arguments)
    match step.name:
        case "find":
            text = f"{arguments['filter']}"
        case "insert":
            text = f"{_document(arguments['document'])}"
        case "replace":
            text = f"{arguments['filter']} by {_document(arguments['document'])}"
        case "update":
            upsert = ", upsert" if arguments["upsert"] else ""
            text = f"{arguments['filter']}: {_update(arguments['update'])}{upsert}"
        case _:
            text = f"{arguments['filter']}"
    return f"{step.collection}.{step.name} {short_tokens(text)}"


def short_tokens(text: str) -> str:
    """The text with each token as `T<process>.<number>`."""
    return TOKEN.sub(lambda m: f"T{number_of_process(m[0])}.{int(m[0][-8:], 16)}", text)


def _document(document: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: document[name] for name in SHOWN if name in document}
    if "members" in shown:
        shown["members"] = {m["player_id"]: m["claim"] for m in shown["members"]}
    return shown


def _update(update: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that an update of a claim, a name or a revision sets."""
    return {
        operator: {name: value for name, value in fields.items() if name in SHOWN}
        for operator, fields in update.items()
    }
