"""The workflows: checked by actionlint, and every script in them run."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gitops.clones import IDENTITY, Remote, git, run
from tests.gitops.conftest import Registry
from tests.gitops.delivery_rules import steps
from tests.gitops.tree import ROOT, Tree, requires

WORKFLOWS = Tree().workflows()
GOMOD = ROOT / "tests/gitops"
BIN = Path(sys.executable).parent


def actionlint(*files: Path) -> subprocess.CompletedProcess[str]:
    go = requires("go", "https://go.dev/doc/install")
    requires("shellcheck", "apt-get install shellcheck")
    subprocess.run([go, "-C", GOMOD, "mod", "download"], check=True, capture_output=True)
    command = [go, "-C", str(GOMOD), "tool", "actionlint", "-no-color", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True)


def test_actionlint_finds_nothing() -> None:
    done = actionlint(*(ROOT / ".github/workflows").glob("*.yaml"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("steps.image.outputs.digest", "steps.images.outputs.digest", 'property "images" is not'),
        ('"$IMAGE@$DIGEST"', "$IMAGE@$DIGEST", "shellcheck reported"),
        ("needs: build", "needs: built", 'job "bump" needs job "built"'),
        ("timeout-minutes: 5", "timeout-mins: 5", 'unexpected key "timeout-mins"'),
    ],
)
def test_actionlint_finds_a_mistake(tmp_path: Path, old: str, new: str, says: str) -> None:
    text = (ROOT / ".github/workflows/release.yaml").read_text()
    assert old in text
    file = tmp_path / "release.yaml"
    file.write_text(text.replace(old, new))
    done = actionlint(file)
    assert done.returncode == 1 and says in done.stdout, done.stdout


MAKE = f"""\
makefile={ROOT}/Makefile
case $1 in
  bump|promote) exec {shutil.which("make")} -f $makefile -o .venv/base BIN={BIN} "$@" ;;
  *) exec {shutil.which("make")} -C {ROOT} --dry-run --always-make "$@" ;;
esac"""


class Runner:
    """Runs a step's script in a clone, as GitHub does.

    What lives elsewhere (`aws`, `cosign`, `docker`, `gh`) stands at the edge and only notes how it
    was called; `make` of what this suite is itself is only looked up. All else is real.
    """

    def __init__(self, folder: Path, clone: Path) -> None:
        self.clone = clone
        self.calls = folder / "calls"
        self.outputs = folder / "outputs"
        self.tools = folder / "tools"
        self.tools.mkdir()
        self.calls.touch()
        self.outputs.touch()
        for name in ("aws", "cosign", "docker", "gh"):
            self.stand_in(name, "")
        self.write("make", MAKE)

    def stand_in(self, name: str, prints: str) -> None:
        self.write(name, f'echo "{name} $*" >>"{self.calls}"; printf "%s" "{prints}"')

    def write(self, name: str, script: str) -> None:
        (self.tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.tools / name).chmod(0o755)

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
            cwd=self.clone,
            env={
                **os.environ,
                **IDENTITY,
                "PATH": f"{self.tools}:{os.environ['PATH']}",
                "GITHUB_OUTPUT": str(self.outputs),
                **environment,
            },
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done


@pytest.fixture
def runner(tmp_path: Path, remote: Remote) -> Runner:
    clone = remote.clone("clone")
    (clone / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    (clone / "src/gitops").symlink_to(ROOT / "src/gitops")
    return Runner(tmp_path, clone)


def script(workflow: str, containing: str) -> str:
    """The one script of a workflow that holds this text."""
    (found,) = [
        step["run"] for step in steps(WORKFLOWS[workflow]) if containing in step.get("run", "")
    ]
    return str(found)


TESTED = (
    "make lint",
    "make test",
    "make manifests",
    "make checkov",
    "make infra-test",
    "make image",
    "docker run",
    "batch-get-image",
    "cosign sign",
    "make bump",
    "make promote",
    "gh pr create",
)


def test_every_script_is_run_by_a_test() -> None:
    """So that a new one does not go without."""
    scripts = [step["run"] for body in WORKFLOWS.values() for step in steps(body) if "run" in step]
    assert [text for text in scripts if not any(part in text for part in TESTED)] == []


@pytest.mark.parametrize("target", ["lint", "test", "manifests", "checkov", "infra-test", "image"])
def test_ci_calls_make(runner: Runner, target: str) -> None:
    assert runner.run(script("ci", f"make {target}")).stdout


def test_ci_starts_the_image_without_any_right(runner: Runner) -> None:
    runner.run(script("ci", "docker run"))
    sha = git(runner.clone, "rev-parse", "HEAD")
    assert runner.calls.read_text() == (
        f"docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges "
        f"game-api:{sha} --version\n"
    )


@pytest.mark.parametrize("digest", ["", "sha256:0123"])
def test_a_release_finds_out_whether_the_image_is_there(runner: Runner, digest: str) -> None:
    runner.stand_in("aws", digest)
    runner.run(script("release", "batch-get-image"), GITHUB_SHA="f" * 40, REPOSITORY="game-api")
    assert f"--repository-name game-api --image-ids imageTag={'f' * 40}" in runner.calls.read_text()
    version = re.findall(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert runner.outputs.read_text() == f"version={version[0]}\ndigest={digest}\n"


def test_a_release_signs_the_digest(runner: Runner) -> None:
    runner.run(script("release", "cosign"), IMAGE="registry.example/game-api", DIGEST="sha256:0123")
    assert runner.calls.read_text() == "cosign sign --yes registry.example/game-api@sha256:0123\n"


def test_a_release_commits_its_tag(runner: Runner, remote: Remote) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    done = runner.run(script("release", "make bump"), GITHUB_SHA=tag)
    assert f"dev: {remote.first} -> {tag}" in done.stdout
    assert remote.tag("dev") == tag


@pytest.mark.parametrize(("opened", "verb"), [("0", "create"), ("1", "edit")])
def test_a_promotion_becomes_one_pull_request(
    runner: Runner, remote: Remote, registry: Registry, opened: str, verb: str
) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    registry.create()
    registry.push(tag)
    assert run(runner.clone, "bump", "dev", tag)[0] == 0
    inputs = {"FROM": "dev", "TO": "staging"}
    runner.run(script("promote", "make promote"), **inputs, **registry.environment)
    assert runner.outputs.read_text() == "branch=promote/staging\n"
    runner.stand_in("gh", opened)
    runner.run(script("promote", "gh pr create"), BRANCH="promote/staging")
    listed, changed = re.split(r"^(?=gh pr (?:create|edit))", runner.calls.read_text(), flags=re.M)
    assert listed == "gh pr list --head promote/staging --state open --json number --jq length\n"
    assert changed.startswith(f"gh pr {verb} ")
    assert f"--title deploy(staging): game-api {tag[:12]} --body staging: {remote.first}" in changed
    assert "feat: more" in changed


def test_a_role_and_a_token_are_for_the_environment_release_alone() -> None:
    """Which GitHub gives to `main` alone."""
    for name, workflow in WORKFLOWS.items():
        for job, body in workflow["jobs"].items():
            asks = body.get("permissions", {}).get("id-token") == "write"
            assert asks == ("configure-aws-credentials" in json.dumps(body)), f"{name}: {job}"
            if asks or "secrets." in json.dumps(body):
                assert body.get("environment") == "release", f"{name}: {job}"
