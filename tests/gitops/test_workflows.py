"""actionlint checks the workflows, and every script in them is run."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gitops import image
from tests.e2e.__main__ import DEBIAN_PACKAGES
from tests.e2e.node import SOCKET
from tests.e2e.programs import MODULES
from tests.gitops.clones import Remote, git, run
from tests.gitops.conftest import Pipeline, Registry, Reports
from tests.gitops.tree import ROOT, requires
from tests.gitops.workflow_rules import CLIENTS, steps
from tests.gitops.workflow_runner import WORKFLOWS, Runner, script

GO_MODULE = ROOT / "tests/gitops"


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
    "only_tag",
    "make check-promotion",
    "$RESULTS",
    "cosign sign",
    "cosign verify",
    "make bump",
    "make promote",
    "make rollback",
    "gh pr create",
    "make e2e",
    "debootstrap",
    "systemctl",
    "mod download",
    *(f'"{client}-v$version"' for client in CLIENTS),
    "uv build",
    "uv publish",
    "npm run build",
    "npm publish",
    "gh release create",
    "gitops summary",
    "gh api",
    "gh issue create",
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


def changes(runner: Runner, base: str) -> dict[str, str]:
    """What has changed since the base: the outputs of the job `changes`."""
    (variables,) = [s["env"] for s in WORKFLOWS["ci"]["jobs"]["changes"]["steps"] if "env" in s]
    result = runner.run(script("ci", "only_tag"), **{**variables, "BASE": base})
    assert runner.outputs.read_text().endswith(result.stdout)
    return dict(line.split("=") for line in result.stdout.splitlines())


def commit(clone: Path, path: str, text: str) -> str:
    """Commit a file, and return the commit before."""
    base = git(clone, "rev-parse", "HEAD")
    (clone / path).parent.mkdir(parents=True, exist_ok=True)
    (clone / path).write_text(text)
    git(clone, "add", path)
    git(clone, "commit", "--quiet", "--message=a change")
    return base


NOTHING_BUT_THE_TAG = {"image": "false", "only-tag": "true"}
ANYTHING_ELSE = {"image": "false", "only-tag": "false"}
THE_IMAGE = {"image": "true", "only-tag": "false"}


def new_tag(clone: Path) -> str:
    return image.with_tag((clone / image.PATH).read_text(), "f" * 40)


def test_a_commit_that_only_moves_the_tag_needs_no_tests_of_the_service(runner: Runner) -> None:
    base = commit(runner.clone, image.PATH, new_tag(runner.clone))
    assert changes(runner, base) == NOTHING_BUT_THE_TAG
    commit(runner.clone, "README.md", "more")
    assert changes(runner, base) == ANYTHING_ELSE


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("newTag: [0-9a-f]{40}", "newTag: latest"),
        ("newTag: [0-9a-f]{40}", "newName: elsewhere"),
        ("newTag: [0-9a-f]{40}", "newTag: " + "f" * 41),
        (r"(newTag: [0-9a-f]{40})\n", r"\1\n    newTag: " + "f" * 40 + r"\n"),
        (r"    newTag: [0-9a-f]{40}\n", ""),
        (r"\Z", "# a comment\n"),
        (r"\Z", "# one of many comments\n" * 10_000),
    ],
)
def test_another_change_beside_the_tag_needs_all_tests(runner: Runner, old: str, new: str) -> None:
    before = (runner.clone / image.PATH).read_text()
    text = re.sub(old, new, before)
    assert text != before
    assert changes(runner, commit(runner.clone, image.PATH, text)) == ANYTHING_ELSE


def test_the_same_line_in_another_file_needs_all_tests(runner: Runner) -> None:
    path = "apps/game-api/overlays/dev/kustomization.yaml"
    commit(runner.clone, path, (runner.clone / image.PATH).read_text())
    assert changes(runner, commit(runner.clone, path, new_tag(runner.clone))) == ANYTHING_ELSE


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("src/game_api/deep/app.py", THE_IMAGE),
        ("Dockerfile", THE_IMAGE),
        ("certificates/ca.pem", THE_IMAGE),
        ("requirements/base.txt", THE_IMAGE),
        ("requirements/dev.txt", ANYTHING_ELSE),
        ("src/game_api_client/app.py", ANYTHING_ELSE),
        ("tests/test_app.py", ANYTHING_ELSE),
    ],
)
def test_only_what_is_in_the_image_changes_it(
    runner: Runner, path: str, expected: dict[str, str]
) -> None:
    base = commit(runner.clone, path, "changed")
    assert changes(runner, base) == expected
    commit(runner.clone, "docs/later.md", "in the same push")
    assert changes(runner, base) == expected
    before = git(runner.clone, "rev-parse", "HEAD")
    git(runner.clone, "rm", "--quiet", path)
    git(runner.clone, "commit", "--quiet", "--message=a removal")
    assert changes(runner, before) == expected


def test_a_pull_request_is_compared_with_what_it_is_merged_into(
    runner: Runner, remote: Remote
) -> None:
    """`main` has moved since the branch was made, as it does when others merge."""
    git(runner.clone, "checkout", "--quiet", "-b", "topic")
    commit(runner.clone, image.PATH, new_tag(runner.clone))
    git(runner.clone, "push", "--quiet", "origin", "topic")
    remote.commit("feat: more", "src/game_api/app.py", "2")
    remote.merge("topic", "main")
    git(runner.clone, "pull", "--quiet", "origin", "main")
    git(runner.clone, "checkout", "--quiet", "origin/main")
    assert changes(runner, "HEAD^1") == NOTHING_BUT_THE_TAG


@pytest.mark.parametrize("base", ["", "0" * 40, "f" * 40])
def test_without_a_commit_to_compare_with_everything_has_changed(runner: Runner, base: str) -> None:
    assert changes(runner, base) == THE_IMAGE


@pytest.mark.parametrize(
    ("only_tag", "results", "expected"),
    [
        ("false", "success success", 0),
        ("false", "success skipped", 1),
        ("false", "success failure", 1),
        ("false", "success cancelled", 1),
        ("true", "success skipped", 0),
        ("true", "skipped failure", 1),
        ("true", "skipped cancelled", 1),
        ("", "failure skipped", 1),  # The job `changes` has failed, so the others are skipped.
    ],
)
def test_ci_has_passed_if_no_job_failed_and_none_was_missing(
    runner: Runner, only_tag: str, results: str, expected: int
) -> None:
    result = runner.try_to_run(script("ci", "$RESULTS"), ONLY_TAG=only_tag, RESULTS=results)
    assert result.returncode == expected


class PullRequest:
    """A pull request into `env/staging`, which is checked in a clone of `main`."""

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        pipeline.build("one")
        pipeline.report("dev")
        assert pipeline.promote("dev", "staging")[0] == 0
        self.remote, self.author = pipeline.remote, pipeline.clone
        git(self.author, "checkout", "--quiet", "promote/staging")
        reviewer = self.remote.clone("reviewer")
        (reviewer / "src/gitops").symlink_to(ROOT / "src/gitops")
        self.runner = Runner(folder, reviewer)

    def check(self) -> subprocess.CompletedProcess[str]:
        head = git(self.author, "rev-parse", "HEAD")
        git(self.author, "push", "--quiet", "--force", "origin", "HEAD:refs/pull/7/head")
        git(self.runner.clone, "fetch", "--quiet")
        pull_request = {"BASE": "env/staging", "COMMIT": head, "NUMBER": "7"}
        return self.runner.try_to_run(script("promotion", "make check-promotion"), **pull_request)


@pytest.fixture
def pull_request(pipeline: Pipeline, tmp_path: Path) -> PullRequest:
    return PullRequest(pipeline, tmp_path)


def test_a_promotion_into_an_environment_passes_its_check(pull_request: PullRequest) -> None:
    result = pull_request.check()
    assert result.returncode == 0, result.stderr
    assert "has the tree that main had at" in result.stdout


def test_a_promotion_does_not_decide_how_it_is_checked(pull_request: PullRequest) -> None:
    """Its own version of the command accepts everything."""
    (pull_request.author / "Makefile").write_text("check-promotion:\n")
    commit(pull_request.author, "src/gitops/__main__.py", "")
    result = pull_request.check()
    assert result.returncode != 0 and "src/gitops/__main__.py" in result.stderr


def test_a_promotion_on_top_of_an_earlier_tip_is_refused(pull_request: PullRequest) -> None:
    """The merge would have a tree that neither the environment nor its source ever had."""
    pull_request.remote.merge("promote/staging", "env/staging")
    git(pull_request.author, "checkout", "--quiet", "origin/main")
    result = pull_request.check()
    assert result.returncode != 0 and "not on top of env/staging" in result.stderr


def test_the_cluster_tests_run_with_what_they_need(runner: Runner) -> None:
    """What the workflow does not install comes with the runner, or with its actions."""
    runner.fake("sudo", "")
    runner.run(script("cluster", "debootstrap"))
    installed = set(runner.calls.read_text().splitlines()[-1].split("recommends ")[1].split())
    with_the_runner = {"containerd", "docker.io", "runc", "iproute2", "openssl", "util-linux"}
    assert installed | with_the_runner >= set(DEBIAN_PACKAGES.values())
    assert not installed & with_the_runner
    runner.run(script("cluster", "make e2e"))
    assert runner.calls.read_text().endswith("CI=true make e2e\n")


def test_the_docker_of_the_runner_is_stopped_before_the_cluster_tests(runner: Runner) -> None:
    runner.fake("sudo", "")
    runner.run(script("cluster", "systemctl"))
    assert runner.calls.read_text().splitlines() == [
        "sudo systemctl stop docker.socket docker.service containerd.service",
        f"sudo rm -f {SOCKET}",
    ]


def test_the_cluster_tests_have_the_modules_even_if_their_programs_are_in_the_cache(
    runner: Runner,
) -> None:
    runner.fake("go", "")
    build = '"-m tests.e2e.programs") echo "python $*" >>"$CALLS" ;;'
    runner.write_tool("python", f'case "$*" in {build} *) exec {sys.executable} "$@" ;; esac')
    calls = {"CALLS": str(runner.calls), "PYTHONPATH": str(ROOT)}
    runner.run(script("cluster", "mod download"), **calls)
    assert runner.calls.read_text().splitlines() == [
        "python -m tests.e2e.programs",
        *(f"go -C tests/e2e/{m.name} mod download {m.module}" for m in MODULES),
    ]


WORKFLOW = "https://github.com/studio/game/.github/workflows/release.yaml@refs/heads/main"
VERIFY = (
    "--certificate-oidc-issuer https://token.actions.githubusercontent.com "
    f"--certificate-identity {WORKFLOW} --certificate-github-workflow-sha"
)


def test_a_release_signs_the_image_by_its_digest_and_verifies_it(runner: Runner) -> None:
    target = {"IMAGE": "registry.example/game-api", "DIGEST": "sha256:0123"}
    sha = {"GITHUB_SHA": "f" * 40, "WORKFLOW": WORKFLOW}
    runner.run(script("release", "cosign sign"), **target, **sha)
    assert runner.calls.read_text().splitlines() == [
        "cosign sign --yes registry.example/game-api@sha256:0123",
        f"cosign verify registry.example/game-api@sha256:0123 {VERIFY} {'f' * 40}",
    ]


def test_a_release_commits_its_tag_to_dev(runner: Runner, remote: Remote) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    result = runner.run(script("release", "make bump"), GITHUB_SHA=tag)
    assert f"dev: {remote.first_build} -> {tag}" in result.stdout
    assert remote.tag("dev") == tag


@pytest.mark.parametrize(("open_requests", "verb"), [("0", "create"), ("1", "edit")])
def test_a_promotion_has_one_pull_request(
    runner: Runner,
    remote: Remote,
    registry: Registry,
    reports: Reports,
    open_requests: str,
    verb: str,
) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    registry.create()
    registry.push(tag)
    assert run(runner.clone, "bump", "dev", tag)[0] == 0
    reports.add("dev", tag, git(remote.bare, "rev-parse", "main"))
    inputs = {"FROM": "dev", "TO": "staging", "AGAIN": "", "VERIFIED": remote.first_build}
    environment = {**registry.environment, **reports.environment}
    result = runner.try_to_run(script("promote", "make promote"), **inputs, **environment)
    assert f"dev has {tag} by now, and not {remote.first_build}" in result.stderr
    assert result.returncode != 0 and "promote/staging" not in remote.branches()
    inputs["VERIFIED"] = tag
    runner.run(script("promote", "make promote"), **inputs, **environment)
    assert runner.outputs.read_text() == "branch=promote/staging\nbase=env/staging\n"
    branches = {"BRANCH": "promote/staging", "BASE": "env/staging"}
    runner.fake("gh", open_requests)
    runner.run(script("promote", "gh pr create"), **branches)
    listed, changed = re.split(r"^(?=gh pr (?:create|edit))", runner.calls.read_text(), flags=re.M)
    assert listed == (
        "gh pr list --head promote/staging --base env/staging --state open "
        "--json number --jq length\n"
    )
    assert changed.startswith(f"gh pr {verb} ")
    title, body = f"deploy(staging): game-api {tag[:12]}", f"staging: {remote.first_build}"
    assert f"--title {title} --body {body}" in changed
    assert "feat: more" in changed


KUSTOMIZATION = {"KUSTOMIZATION": image.PATH}


def verify(runner: Runner, source: str) -> subprocess.CompletedProcess[str]:
    runner.fake("aws", "sha256:0123")
    names = {"FROM": source, "IMAGE": "registry.example/game-api", "WORKFLOW": WORKFLOW}
    return runner.try_to_run(script("promote", "cosign verify"), **names, **KUSTOMIZATION)


def test_a_promotion_verifies_the_image_that_its_source_runs(
    runner: Runner, remote: Remote
) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    assert run(runner.clone, "bump", "dev", tag)[0] == 0
    for source, expected in (("dev", tag), ("staging", remote.first_build)):
        runner.calls.write_text("")
        result = verify(runner, source)
        assert result.returncode == 0, result.stderr
        looked_up, verified = runner.calls.read_text().splitlines()
        request = f"describe-images --repository-name game-api --image-ids imageTag={expected} "
        assert request in looked_up
        command = f"cosign verify registry.example/game-api@sha256:0123 {VERIFY} {expected}"
        assert verified == command
        assert runner.outputs.read_text().endswith(f"tag={expected}\n")


def test_an_image_that_was_not_signed_is_not_promoted(runner: Runner) -> None:
    runner.write_tool("cosign", "exit 1")
    assert verify(runner, "dev").returncode != 0
    assert runner.outputs.read_text() == ""


def test_a_rollback_is_listed_or_has_a_pull_request(pipeline: Pipeline, tmp_path: Path) -> None:
    remote = pipeline.remote
    build = pipeline.build("more")
    pipeline.deploy("staging")
    (pipeline.clone / "src/gitops").symlink_to(ROOT / "src/gitops")
    runner = Runner(tmp_path, pipeline.clone)
    summary = tmp_path / "summary"
    environment = {"ENVIRONMENT": "staging", "GITHUB_STEP_SUMMARY": str(summary)}
    runner.run(script("rollback", "make rollback"), BUILD="", **environment)
    assert build[:12] in summary.read_text() and "running" in summary.read_text()
    assert runner.outputs.read_text() == ""
    earlier = remote.first_build[:12]
    runner.run(script("rollback", "make rollback"), BUILD=earlier, **environment)
    assert runner.outputs.read_text() == "branch=rollback/staging\nbase=env/staging\n"
    runner.fake("gh", "0")
    branches = {"BRANCH": "rollback/staging", "BASE": "env/staging"}
    runner.run(script("rollback", "gh pr create"), **branches)
    title = f"deploy(staging): go back to game-api {earlier}"
    assert f"gh pr create --base env/staging --head rollback/staging --title {title}" in (
        runner.calls.read_text()
    )


@pytest.mark.parametrize("build", ["`touch run`", "$(touch run)", '"; touch run; "', "\ntouch run"])
def test_the_build_of_a_rollback_is_never_executed(runner: Runner, build: str) -> None:
    summary = {"ENVIRONMENT": "staging", "GITHUB_STEP_SUMMARY": os.devnull}
    result = runner.try_to_run(script("rollback", "make rollback"), BUILD=build, **summary)
    assert result.returncode == 1 and "only the characters" in result.stderr
    assert not (runner.clone / "run").exists()


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


ENVIRONMENTS = {"release": {"build", "bump"}, "promote": {"promote", "rollback"}}
"""The jobs in each environment of GitHub, to which only `main` may be deployed."""


def test_only_jobs_in_an_environment_get_credentials() -> None:
    """Only `main` may be deployed there. Rules cover the clients and the role that plans."""
    for name, workflow in WORKFLOWS.items():
        if name in ("release-clients", "infra"):
            continue
        for job, body in workflow["jobs"].items():
            uses_aws = body.get("permissions", {}).get("id-token") == "write"
            assert uses_aws == ("configure-aws-credentials" in json.dumps(body)), f"{name}: {job}"
            if uses_aws or "secrets." in json.dumps(body):
                assert job in ENVIRONMENTS[body["environment"]], f"{name}: {job}"
