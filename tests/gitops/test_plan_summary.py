"""The summary of a plan names what changes, shows no value, and refuses everything else.

The files in `plans/` are what Terraform 1.11 prints for the built-in `terraform_data` resources.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitops.errors import GitOpsError
from gitops.plan_summary import MAX_LENGTH, summarise
from tests.gitops.tree import ROOT

PLANS = Path(__file__).parent / "plans"
CHANGES = (PLANS / "changes.json").read_text()

SUMMARY = """\
## Terraform plan of prod

**This plan would destroy 1 and replace 2.**

1 to destroy, 2 to replace, 1 to forget, 5 to create, 4 to update, 1 to move

| action | resource | |
|---|---|---|
| **destroy** | `terraform_data.removed` |  |
| **replace** | `terraform_data.before` | because of `triggers_replace` |
| **replace** | `terraform_data.replaced` | because of `triggers_replace` |
| forget | `terraform_data.forgotten` |  |
| create | `terraform_data.created["@all <b>"]` |  |
| create | `terraform_data.created["a\\|b"]` |  |
| create | `` terraform_data.created["c`d"] `` |  |
| create | `terraform_data.created["plain"]` |  |
| create | `output.fresh` |  |
| update | `terraform_data.imported` | imported |
| update | `terraform_data.updated` |  |
| update | `output.gone` | removed from the outputs |
| update | `output.password` |  |
| move | `terraform_data.new` | moved from `terraform_data.old` |
"""


def plan(*resources: dict[str, Any], **members: Any) -> str:
    """The JSON of a plan that changes these resources."""
    content = {"format_version": "1.2", "planned_values": {}, "resource_changes": resources}
    return json.dumps({**content, **members})


def change(address: str, *actions: str, **members: Any) -> dict[str, Any]:
    return {"address": address, "change": {"actions": actions}, **members}


def test_a_plan_becomes_a_table() -> None:
    assert summarise(CHANGES, "prod") == SUMMARY


def test_no_value_is_shown() -> None:
    """The plan contains each of these values, and marks only the passwords as sensitive."""
    summary = summarise(CHANGES, "prod")
    for value in ("first-hidden-value", "second-hidden-value", "plain-hidden-value", "hidden-id"):
        assert value in CHANGES and value not in summary


def test_an_empty_plan_has_no_table() -> None:
    text = (PLANS / "empty.json").read_text()
    assert "terraform_data.kept" in text
    assert summarise(text, "dev") == "## Terraform plan of dev\n\nNo changes.\n"


def test_a_plan_that_destroys_nothing_has_no_bold_line() -> None:
    assert "**" not in summarise(plan(change("a.b", "create"), change("a.c", "update")), "dev")


@pytest.mark.parametrize(
    ("actions", "row"),
    [
        (("create",), "| create | `a.b` |  |"),
        (("update",), "| update | `a.b` |  |"),
        (("delete",), "| **destroy** | `a.b` |  |"),
        (("delete", "create"), "| **replace** | `a.b` |  |"),
        (("create", "delete"), "| **replace** | `a.b` |  |"),
        (("create", "forget"), "| **replace** | `a.b` |  |"),
        (("forget",), "| forget | `a.b` |  |"),
    ],
)
def test_every_action_has_a_name(actions: tuple[str, ...], row: str) -> None:
    assert summarise(plan(change("a.b", *actions)), "dev").splitlines()[-1] == row


def test_a_resource_that_is_only_imported_is_shown() -> None:
    imported = change("a.b", "no-op")
    imported["change"]["importing"] = {"id": "hidden"}
    summary = summarise(plan(imported), "dev")
    assert summary.endswith("| import | `a.b` | imported |\n") and "hidden" not in summary


def test_the_rest_of_an_earlier_replacement_is_named() -> None:
    summary = summarise(plan(change("a.b", "delete", deposed="0a1b2c3d")), "dev")
    assert "| **destroy** | `a.b` | what an earlier replacement left over |" in summary


def test_an_address_stays_in_its_cell() -> None:
    summary = summarise(plan(change('a.b["x\n| y ``` z"]', "create")), "dev")
    assert summary.splitlines()[-1] == '| create | ```` a.b["x \\| y ``` z"] ```` |  |'


def test_a_long_table_is_cut_after_what_is_destroyed() -> None:
    """A comment on GitHub has at most 65,536 characters."""
    created = [change(f"aws_thing.created[{number}]", "create") for number in range(5000)]
    summary = summarise(plan(*created, change("aws_thing.gone", "delete")), "dev")
    assert len(summary) < MAX_LENGTH + 100 < 65_536
    assert "| **destroy** | `aws_thing.gone` |  |" in summary
    shown = summary.count("| create |")
    assert summary.endswith(f"\n\n{5000 - shown} more are not shown.\n") and shown > 1000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the input is not JSON; pipe `terraform show -json PLAN` to it"),
        ("Error: secret", "the input is not JSON; pipe `terraform show -json PLAN` to it"),
        ('["secret"]', "the input is not a plan; pipe `terraform show -json PLAN` to it"),
        (
            (PLANS / "state.json").read_text(),
            "the input is not a plan; pipe `terraform show -json PLAN` to it",
        ),
        (plan(format_version="2.0"), "plans in format 2.0 are not supported"),
        (
            plan(errored=True),
            "the plan is not complete, because Terraform failed while it planned",
        ),
        (plan(change("a.b", "explode")), "the plan has the unknown action explode"),
        *(
            (
                plan(**{"resource_changes": wrong}),
                "the plan does not have the form that Terraform documents",
            )
            for wrong in (
                1,
                ["secret"],
                [{"address": "a.b"}],
                [{"change": {"actions": ["create"]}}],
            )
        ),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(text: str, message: str) -> None:
    with pytest.raises(GitOpsError) as caught:
        summarise(text, "dev")
    assert str(caught.value) == message


def run(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "gitops", "summary", "prod"),
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        input=text,
        capture_output=True,
        text=True,
    )


def test_the_command_reads_a_plan_from_its_input() -> None:
    result = run(CHANGES)
    assert (result.returncode, result.stdout, result.stderr) == (0, SUMMARY, "")


def test_the_command_fails_with_one_sentence() -> None:
    result = run("")
    message = "summary: the input is not JSON; pipe `terraform show -json PLAN` to it\n"
    assert (result.returncode, result.stdout, result.stderr) == (1, "", message)
