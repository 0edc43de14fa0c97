"""actionlint checks the workflows, and every script in them is run."""

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
from tests.gitops.delivery_rules import CLIENTS, steps
from tests.gitops.tree import ROOT, Tree, requires

WORKFLOWS = Tree().workflows()
GO_MODULE = ROOT / "tests/gitops"
BIN = Path(sys.executable).parent


def actionlint(*files: Path) -> subprocess.CompletedProcess[str]:
    go = requires("go", "https://go.dev/doc/install")
    requires("shellcheck", "apt-get install shellcheck")
    subprocess.run([go, "-C", GO_MODULE, "mod", "download"], check=True, capture_output=True)
    command = [go, "-C", str(GO_MODULE), "tool", "actionlint", "-no-color", *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True)


def test_actionlint_reports_nothing() -> None:
    result = actionlint(*(ROOT / ".github/workflows").glob("*.yaml"))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps.image.outputs.digest", "steps.images.outputs.digest", 'property "images" is not'),
        ('"$IMAGE@$DIGEST"', "$IMAGE@$DIGEST", "shellcheck reported"),
        ("needs: build", "needs: built", 'job "bump" needs job "built"'),
        ("timeout-minutes: 5", "timeout-mins: 5", 'unexpected key "timeout-mins"'),
    ],
)
def test_actionlint_reports_a_mistake(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (ROOT / ".github/workflows/release.yaml").read_text()
    assert old in text
    file = tmp_path / "release.yaml"
    file.write_text(text.replace(old, new))
    result = actionlint(file)
    assert result.returncode == 1 and message in result.stdout, result.stdout


MAKE = f"""\
makefile={ROOT}/Makefile
case $1 in
  bump|promote) exec {shutil.which("make")} -f $makefile -o .venv/base BIN={BIN} "$@" ;;
  *) exec {shutil.which("make")} -C {ROOT} --dry-run --always-make "$@" ;;
esac"""


class Runner:
    """Runs the script of a workflow step in a clone, as GitHub does.

    `aws`, `cosign`, `docker`, `gh`, `npm`, `pip` and `uv` are fakes that only record how they were
    called. `make` runs bump and promote, and only prints the commands of other targets. All other
    programs are real.
    """

    def __init__(self, folder: Path, clone: Path) -> None:
        self.clone = clone
        self.calls = folder / "calls"
        self.outputs = folder / "outputs"
        self.tools = folder / "tools"
        self.tools.mkdir()
        self.calls.touch()
        self.outputs.touch()
        for name in ("aws", "cosign", "docker", "gh", "npm", "pip", "uv"):
            self.fake(name, "")
        self.write_tool("make", MAKE)

    def fake(self, name: str, output: str) -> None:
        """Replace a program with one that records its calls and prints the output."""
        self.write_tool(name, f'echo "{name} $*" >>"{self.calls}"; printf "%s" "{output}"')

    def write_tool(self, name: str, script: str) -> None:
        (self.tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.tools / name).chmod(0o755)

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        result = self.try_to_run(script, **environment)
        assert result.returncode == 0, result.stderr
        return result

    def try_to_run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
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


@pytest.fixture
def runner(tmp_path: Path, remote: Remote) -> Runner:
    clone = remote.clone("clone")
    (clone / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    (clone / "src/gitops").symlink_to(ROOT / "src/gitops")
    return Runner(tmp_path, clone)


def script(workflow: str, containing: str) -> str:
    """The only script of a workflow that contains this text."""
    (text,) = [
        step["run"] for step in steps(WORKFLOWS[workflow]) if containing in step.get("run", "")
    ]
    return str(text)


TESTED_SCRIPTS = (
    "make lint",
    "make test",
    "make manifests",
    "make checkov",
    "make infra-test",
    "make image",
    "make clients",
    "mono-mcs",
    "docker run",
    "batch-get-image",
    "cosign sign",
    "make bump",
    "make promote",
    "gh pr create",
    *(f'"{client}-v$version"' for client in CLIENTS),
    "uv build",
    "uv publish",
    "npm run build",
    "npm publish",
    "gh release create",
)


def test_every_script_has_a_test() -> None:
    scripts = [step["run"] for body in WORKFLOWS.values() for step in steps(body) if "run" in step]
    assert [text for text in scripts if not any(part in text for part in TESTED_SCRIPTS)] == []


@pytest.mark.parametrize(
    "target", ["lint", "test", "manifests", "checkov", "infra-test", "image", "clients"]
)
def test_ci_calls_a_make_target(runner: Runner, target: str) -> None:
    assert runner.run(script("ci", f"make {target}")).stdout


def test_ci_installs_what_the_tests_of_the_unity_client_need(runner: Runner) -> None:
    """The message of these tests, the workflow and `.ci/run` name the same packages."""
    runner.fake("sudo", "")
    runner.run(script("ci", "mono-mcs"))
    needed = set(re.findall(r"\b(?:lib)?mono-\S+", (ROOT / "clients/unity/Tests~/run").read_text()))
    needed = {package.rstrip('"') for package in needed}
    assert len(needed) == 6
    install = runner.calls.read_text().splitlines()[-1].split()
    assert needed == set(install[install.index("--no-install-recommends") + 1 :])
    assert all(package in (ROOT / ".ci/run").read_text() for package in needed)


def test_ci_starts_the_image_without_privileges(runner: Runner) -> None:
    runner.run(script("ci", "docker run"))
    sha = git(runner.clone, "rev-parse", "HEAD")
    assert runner.calls.read_text() == (
        f"docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges "
        f"game-api:{sha} --version\n"
    )


@pytest.mark.parametrize("digest", ["", "sha256:0123"])
def test_a_release_looks_up_whether_the_image_exists(runner: Runner, digest: str) -> None:
    runner.fake("aws", digest)
    runner.run(script("release", "batch-get-image"), GITHUB_SHA="f" * 40, REPOSITORY="game-api")
    assert f"--repository-name game-api --image-ids imageTag={'f' * 40}" in runner.calls.read_text()
    version = re.findall(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert runner.outputs.read_text() == f"version={version[0]}\ndigest={digest}\n"


def test_a_release_signs_the_image_by_its_digest(runner: Runner) -> None:
    runner.run(script("release", "cosign"), IMAGE="registry.example/game-api", DIGEST="sha256:0123")
    assert runner.calls.read_text() == "cosign sign --yes registry.example/game-api@sha256:0123\n"


def test_a_release_commits_its_tag_to_dev(runner: Runner, remote: Remote) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    result = runner.run(script("release", "make bump"), GITHUB_SHA=tag)
    assert f"dev: {remote.first_build} -> {tag}" in result.stdout
    assert remote.tag("dev") == tag


@pytest.mark.parametrize(("open_requests", "verb"), [("0", "create"), ("1", "edit")])
def test_a_promotion_has_one_pull_request(
    runner: Runner, remote: Remote, registry: Registry, open_requests: str, verb: str
) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    registry.create()
    registry.push(tag)
    assert run(runner.clone, "bump", "dev", tag)[0] == 0
    inputs = {"FROM": "dev", "TO": "staging"}
    runner.run(script("promote", "make promote"), **inputs, **registry.environment)
    assert runner.outputs.read_text() == "branch=promote/staging\n"
    runner.fake("gh", open_requests)
    runner.run(script("promote", "gh pr create"), BRANCH="promote/staging")
    listed, changed = re.split(r"^(?=gh pr (?:create|edit))", runner.calls.read_text(), flags=re.M)
    assert listed == "gh pr list --head promote/staging --state open --json number --jq length\n"
    assert changed.startswith(f"gh pr {verb} ")
    title, body = f"deploy(staging): game-api {tag[:12]}", f"staging: {remote.first_build}"
    assert f"--title {title} --body {body}" in changed
    assert "feat: more" in changed


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("version", ["1.2.3", "1.2.30", "v1.2.3", ""])
def test_a_tag_with_another_version_publishes_nothing(
    runner: Runner, client: str, version: str
) -> None:
    if client == "python":
        (runner.clone / "pyproject.toml").unlink()
        (runner.clone / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    else:
        requires("node", "https://nodejs.org/en/download")
        (runner.clone / "package.json").write_text('{"version": "1.2.3"}')
    check = script("release-clients", f'"{client}-v$version"')
    result = runner.try_to_run(check, GITHUB_REF_NAME=f"{client}-v{version}")
    assert result.returncode == (0 if version == "1.2.3" else 1), result.stderr
    refused = f"the tag is {client}-v{version}, but the version of the package is 1.2.3\n"
    assert result.stderr == ("" if version == "1.2.3" else refused)


def test_the_python_client_is_built_with_pinned_tools(runner: Runner) -> None:
    runner.run(script("release-clients", "uv build"))
    runner.run(script("release-clients", "uv publish"))
    assert runner.calls.read_text().splitlines() == [
        "pip install --disable-pip-version-check --require-hashes -r requirements-dev.txt",
        "uv build --build-constraints requirements-dev.txt --require-hashes",
        "uv publish --trusted-publishing always",
    ]


def test_the_typescript_client_is_published_with_provenance(runner: Runner) -> None:
    runner.run(script("release-clients", "npm run build"))
    runner.run(script("release-clients", "npm publish"), GITHUB_REPOSITORY="studio/game")
    assert runner.calls.read_text().splitlines() == [
        "npm ci --ignore-scripts",
        "npm run build",
        "npm pkg set repository.type=git repository.url=git+https://github.com/studio/game.git "
        "repository.directory=clients/typescript",
        "npm publish --provenance --access public",
    ]


def test_the_unity_client_is_attached_to_a_release(runner: Runner) -> None:
    runner.fake("npm", "com.example.game-api-1.2.3.tgz")
    runner.run(script("release-clients", "gh release create"), GITHUB_REF_NAME="unity-v1.2.3")
    packed, released = runner.calls.read_text().splitlines()
    assert packed == "npm pack --silent"
    release = "gh release create unity-v1.2.3 com.example.game-api-1.2.3.tgz --verify-tag"
    assert released.startswith(f"{release} --title unity-v1.2.3 --notes ")


def test_only_jobs_in_the_release_environment_get_credentials() -> None:
    """GitHub lets only `main` deploy to that environment. A rule covers the clients."""
    for name, workflow in WORKFLOWS.items():
        if name == "release-clients":
            continue
        for job, body in workflow["jobs"].items():
            uses_aws = body.get("permissions", {}).get("id-token") == "write"
            assert uses_aws == ("configure-aws-credentials" in json.dumps(body)), f"{name}: {job}"
            if uses_aws or "secrets." in json.dumps(body):
                assert body.get("environment") == "release", f"{name}: {job}"
