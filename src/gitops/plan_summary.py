"""A Markdown summary of a Terraform plan that shows no value of any attribute."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

from gitops.errors import GitOpsError

MAX_LENGTH = 50_000
"""How long a summary may be, in characters. GitHub accepts comments of up to 65,536."""

NO_CHANGES = "No changes."


class Action(Enum):
    """What happens to a resource. Those that destroy something are the first."""

    DESTROY = "destroy"
    REPLACE = "replace"
    FORGET = "forget"
    CREATE = "create"
    UPDATE = "update"
    MOVE = "move"
    IMPORT = "import"

    @property
    def destroys(self) -> bool:
        return self in (Action.DESTROY, Action.REPLACE)


ACTIONS = {
    ("create",): Action.CREATE,
    ("update",): Action.UPDATE,
    ("delete",): Action.DESTROY,
    ("delete", "create"): Action.REPLACE,
    ("create", "delete"): Action.REPLACE,
    ("forget",): Action.FORGET,
    ("create", "forget"): Action.REPLACE,
}
"""Terraform's names for the actions. `no-op` and `read` change nothing."""


class Change(NamedTuple):
    """What happens to one resource or output, and a remark, which is Markdown."""

    action: Action
    address: str
    remark: str


def summarise(text: str, environment: str) -> str:
    """The summary of the plan of an environment, as `terraform show -json` prints it.

    It has the names of resources, of outputs and of attributes that lead to a replacement. Raises
    GitOpsError if the text is not a complete plan.
    """
    plan = parse(text)
    try:
        changes = sorted(changes_in(plan), key=lambda change: list(Action).index(change.action))
    except (AttributeError, IndexError, KeyError, TypeError):
        raise GitOpsError("the plan does not have the form that Terraform documents") from None
    title = f"## Terraform plan of {environment}\n\n"
    return title + (table(changes) if changes else f"{NO_CHANGES}\n")


def parse(text: str) -> dict[str, Any]:
    """The plan in the text. Raises GitOpsError, never with a part of the text."""
    try:
        plan = json.loads(text)
    except ValueError:
        raise GitOpsError("the input is not JSON; pipe `terraform show -json PLAN` to it") from None
    if not isinstance(plan, dict) or "planned_values" not in plan:
        raise GitOpsError("the input is not a plan; pipe `terraform show -json PLAN` to it")
    if not str(plan.get("format_version")).startswith("1."):
        raise GitOpsError(f"plans in format {plan.get('format_version')} are not supported")
    if plan.get("errored"):
        raise GitOpsError("the plan is not complete, because Terraform failed while it planned")
    return plan


def changes_in(plan: dict[str, Any]) -> Iterator[Change]:
    """The changes of resources and outputs."""
    for resource in plan.get("resource_changes", []):
        if change := change_of(resource):
            yield change
    for name, change in plan.get("output_changes", {}).items():
        if action := action_of(change):
            # An output is only a text in the state. Without it, nothing is destroyed.
            remark = "removed from the outputs" if action is Action.DESTROY else ""
            yield Change(Action.UPDATE if remark else action, f"output.{name}", remark)


def change_of(resource: dict[str, Any]) -> Change | None:
    """The change of a resource, or None if it stays as it is."""
    change, address = resource["change"], resource["address"]
    action = action_of(change)
    remarks = []
    if previous := resource.get("previous_address"):
        action = action or Action.MOVE
        remarks.append(f"moved from {code(previous)}")
    if change.get("importing"):
        action = action or Action.IMPORT
        remarks.append("imported")
    if action is Action.REPLACE:
        attributes = sorted({str(path[0]) for path in change.get("replace_paths", [])})
        if attributes:
            remarks.append(f"because of {', '.join(map(code, attributes))}")
    if "deposed" in resource:
        remarks.append("what an earlier replacement left over")
    return Change(action, address, ", ".join(remarks)) if action else None


def action_of(change: dict[str, Any]) -> Action | None:
    """What the change does, or None if nothing. Raises GitOpsError if the action is unknown."""
    actions = tuple(change["actions"])
    if actions in (("no-op",), ("read",)):
        return None
    if actions not in ACTIONS:
        raise GitOpsError(f"the plan has the unknown action {'/'.join(map(str, actions))}")
    return ACTIONS[actions]


def table(changes: list[Change]) -> str:
    """A table of the changes, below a line that warns of what is destroyed or replaced."""
    counts = Counter(change.action for change in changes)
    lines = []
    if destroyed := [f"{action.value} {counts[action]}" for action in counts if action.destroys]:
        lines += [f"**This plan would {' and '.join(destroyed)}.**", ""]
    lines.append(", ".join(f"{counts[action]} to {action.value}" for action in counts))
    lines += ["", "| action | resource | |", "|---|---|---|"]
    length = sum(map(len, lines))
    for number, change in enumerate(changes):
        action = f"**{change.action.value}**" if change.action.destroys else change.action.value
        row = f"| {action} | {code(change.address)} | {change.remark} |"
        length += len(row) + 1
        if length > MAX_LENGTH:
            lines += ["", f"{len(changes) - number} more are not shown."]
            break
        lines.append(row)
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """The text as code in a table. It can't end the code, the cell or the line."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    padding = " " if longest else ""
    line = " ".join(text.splitlines()).replace("|", "\\|")
    return f"{fence}{padding}{line}{padding}{fence}"
