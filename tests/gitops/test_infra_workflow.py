"""The scripts of the workflow `infra` are run, with a terraform that only records its calls."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gitops.tree import ROOT, requires
from tests.gitops.workflow_rules import PLANNED
from tests.gitops.workflow_runner import Runner, script

TERRAFORM = """\
echo "terraform $*" >>"$CALLS"
case "$*" in
  *" plan "*) echo "a value in the plan"; exit "$CODE" ;;
  *" show "*) cat "$PLAN" ;;
esac"""

GH = """\
printf 'gh %s\n' "$*" >>"$CALLS"
for argument; do
  if [ "$last" = --jq ]; then jq --raw-output "$argument" "$ANSWER"; fi
  last=$argument
done"""
"""Answers with the file $ANSWER, filtered as the real program does it."""


class Planning:
    """Runs the scripts of the workflow `infra` with a terraform that only records its calls."""

    def __init__(self, runner: Runner, folder: Path) -> None:
        self.runner = runner
        self.summary = folder / "summary"
        self.summary.touch()
        self.answer = folder / "answer.json"
        runner.write_tool("terraform", TERRAFORM)
        runner.write_tool("gh", GH)
        runner.write_tool("python", f'exec {sys.executable} "$@"')

    def run(self, containing: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.runner.try_to_run(
            script("infra", containing),
            CALLS=str(self.runner.calls),
            ANSWER=str(self.answer),
            GITHUB_STEP_SUMMARY=str(self.summary),
            GITHUB_REPOSITORY="studio/game",
            **environment,
        )

    def plan(
        self, environment: str, event: str, code: int, plan: str = "changes"
    ) -> subprocess.CompletedProcess[str]:
        return self.run(
            "gitops summary",
            ENVIRONMENT=environment,
            GITHUB_EVENT_NAME=event,
            CODE=str(code),
            PLAN=str(ROOT / f"tests/gitops/plans/{plan}.json"),
            PYTHONPATH="src",
        )

    def calls(self) -> list[str]:
        return self.runner.calls.read_text().splitlines()


@pytest.fixture
def planning(runner: Runner, tmp_path: Path) -> Planning:
    return Planning(runner, tmp_path)


@pytest.mark.parametrize("environment", PLANNED)
def test_an_environment_is_planned_without_a_lock(planning: Planning, environment: str) -> None:
    result = planning.plan(environment, "pull_request", 2)
    assert result.returncode == 0, result.stderr
    folder = "terraform/registry" if environment == "registry" else "terraform"
    settings = f"{planning.runner.clone}/terraform/environments/{environment}"
    assert planning.calls() == [
        f"terraform -chdir={folder} init -input=false -no-color "
        f"-backend-config={settings}.s3.tfbackend",
        f"terraform -chdir={folder} plan -lock=false -input=false -no-color -detailed-exitcode "
        f"-out=plan -var-file={settings}.tfvars",
        f"terraform -chdir={folder} show -json plan",
    ]
    for suffix in ("s3.tfbackend", "tfvars"):
        assert (ROOT / f"terraform/environments/{environment}.{suffix}").exists()
    summary = planning.summary.read_text()
    assert summary.startswith(f"## Terraform plan of {environment}\n\n**This plan would destroy 1")
    first, *lines, last = planning.runner.outputs.read_text().splitlines()
    assert first == f"{environment}<<{last}" and len(last) == 32
    assert lines == summary.splitlines()
    assert "value" not in result.stdout + summary


@pytest.mark.parametrize(
    ("event", "code", "expected", "reported"),
    [
        ("pull_request", 0, 0, True),
        ("pull_request", 1, 1, False),
        ("pull_request", 2, 0, True),
        ("schedule", 0, 0, False),
        ("schedule", 1, 1, False),
        ("schedule", 2, 2, True),
    ],
)
def test_a_plan_that_is_not_empty_fails_only_on_schedule(
    planning: Planning, event: str, code: int, expected: int, reported: bool
) -> None:
    plan = "changes" if code == 2 else "empty"
    assert planning.plan("prod", event, code, plan).returncode == expected
    assert ("## Terraform plan of prod" in planning.runner.outputs.read_text()) == reported


def test_a_plan_without_a_summary_fails(planning: Planning) -> None:
    result = planning.plan("prod", "pull_request", 2, "state")
    assert result.returncode == 1 and "the input is not a plan" in result.stderr
    assert planning.runner.outputs.read_text() == planning.summary.read_text() == ""


BOT = "github-actions[bot]"
SUMMARY = "## Terraform plan of dev\n\nNo changes."


@pytest.mark.parametrize(
    ("login", "body", "found"),
    [
        (BOT, SUMMARY, True),
        (BOT, SUMMARY.replace("dev", "prod"), False),
        (BOT, "Something else", False),
        ("ada", SUMMARY, False),
    ],
)
def test_a_pull_request_has_one_comment_for_each_environment(
    planning: Planning, login: str, body: str, found: bool
) -> None:
    requires("jq", "apt-get install jq")
    other = {"id": 6, "user": {"login": "ada"}, "body": "Looks good"}
    comment = {"id": 7, "user": {"login": login}, "body": body}
    planning.answer.write_text(json.dumps([other, comment]))
    result = planning.run("gh api", ENVIRONMENT="dev", PULL_REQUEST="12", SUMMARY=SUMMARY)
    assert result.returncode == 0, result.stderr
    listed, changed, *rest = planning.calls()
    comments = "repos/studio/game/issues/12/comments"
    assert listed.startswith(f"gh api --paginate {comments} --jq ")
    target = "--method PATCH repos/studio/game/issues/comments/7" if found else comments
    assert changed == f"gh api {target} --raw-field body=## Terraform plan of dev"
    assert rest == ["", "No changes. --silent"]


@pytest.mark.parametrize("found", [False, True])
def test_drift_has_one_issue_for_each_environment(planning: Planning, found: bool) -> None:
    requires("jq", "apt-get install jq")
    title = "AWS differs from main in dev"
    titles = ["AWS differs from main in prod", "Broken", *([title] if found else [])]
    issues = [{"number": number, "title": text} for number, text in enumerate(titles, 3)]
    planning.answer.write_text(json.dumps(issues))
    run = "https://github.example/studio/game/actions/runs/1"
    result = planning.run("gh issue create", TITLE=title, RUN=run, SUMMARY=SUMMARY)
    assert result.returncode == 0, result.stderr
    listed, changed, *rest = planning.calls()
    assert listed.startswith("gh issue list --state open ")
    verb = "edit 5" if found else f"create --title {title}"
    assert changed.startswith(f"gh issue {verb} --body ") and f"[the newest run]({run})" in changed
    assert "\n".join(rest) == f"\n{SUMMARY}"
