"""`make promote` pushes a branch that gives an environment the tree of the one before it."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from gitops import image
from tests.gitops.clones import NAME, ROOT, Remote, git, run, start
from tests.gitops.conftest import Pipeline, Registry, Reports

DEV = "apps/game-api/overlays/dev/kustomization.yaml"
PROD = "apps/game-api/overlays/prod/kustomization.yaml"


@pytest.fixture
def tag(pipeline: Pipeline) -> str:
    """A build that is healthy in dev, and that staging does not have yet."""
    pipeline.remote.commit("feat: more", "src/app.py", "2")
    tag = pipeline.build("less")
    pipeline.report("dev", ago=timedelta(hours=2, minutes=5))
    return tag


def test_a_promotion_pushes_a_branch_with_the_tree_of_the_source(
    pipeline: Pipeline, remote: Remote, tag: str, tmp_path: Path
) -> None:
    remote.commit("feat: manifests", PROD, "# changed\n")
    outputs, before = tmp_path / "outputs", remote.tree("env/staging")
    environment = {**pipeline.reports.environment, "GITHUB_OUTPUT": str(outputs)}
    code, output, errors = run(pipeline.clone, "promote", "dev", "staging", **environment)
    assert (code, errors) == (0, "")
    assert outputs.read_text() == "branch=promote/staging\nbase=env/staging\n"
    lines = output.splitlines()
    assert lines[0] == f"staging: {remote.first_build} -> {tag}"
    assert [line.split(maxsplit=1)[1] for line in lines[1:4]] == [
        "feat: less",
        "feat: more",
        "chore: manifests",
    ]
    assert lines[4] == "manifests:"
    assert [line.split()[0] for line in lines[5:7]] == [image.PATH, PROD]
    assert lines[-2:] == [
        "healthy in dev for 2 h 5 min",
        "pushed promote/staging; merge it into env/staging to deploy",
    ]
    assert remote.tree("promote/staging") == remote.tree("main")
    assert remote.tree("env/staging") == before, "the environment only changes with the merge"
    parents = git(remote.bare, "log", "-1", "--format=%P", "promote/staging").split()
    assert parents == [git(remote.bare, "rev-parse", name) for name in ("env/staging", "main")]
    message = git(remote.bare, "log", "-1", "--format=%B", "promote/staging").splitlines()
    assert message[0] == f"deploy(staging): game-api {tag[:12]}"
    assert message[2:-1] == lines[:-2] and message[-1].startswith("healthy in dev since 20")


@pytest.mark.parametrize("method", ["--no-ff", "--squash", "--ff-only"])
def test_promotions_bring_a_tree_to_every_environment_however_they_are_merged(
    pipeline: Pipeline, remote: Remote, method: str
) -> None:
    for name in ("one", "two"):
        tag = pipeline.build(name)
        for source, target in (("dev", "staging"), ("staging", "prod")):
            pipeline.report(source)
            code, output, errors = pipeline.promote(source, target)
            assert (code, errors) == (0, "") and f"feat: {name}" in output
            remote.merge(f"promote/{target}", f"env/{target}", method)
        assert {remote.tag(name) for name in ("dev", "staging", "prod")} == {tag}
        assert remote.tree("main") == remote.tree("env/staging") == remote.tree("env/prod")
    before = remote.branches()
    code, output, _ = pipeline.promote("dev", "staging")
    assert (code, output) == (0, "staging already has what dev has; nothing to promote\n")
    assert remote.branches() == before


def test_a_change_of_the_manifests_is_promoted_without_a_new_build(
    pipeline: Pipeline, remote: Remote
) -> None:
    remote.commit("feat: a policy", "clusters/policy.yaml", "policy")
    pipeline.report("dev")
    code, output, errors = pipeline.promote("dev", "staging")
    assert (code, errors) == (0, "")
    assert output.startswith(f"staging: {remote.first_build} stays, and its manifests change\n")
    assert "clusters/policy.yaml | 1 +" in output
    assert remote.tree("promote/staging") == remote.tree("main")


def test_a_newer_promotion_replaces_one_that_was_not_merged(
    pipeline: Pipeline, remote: Remote, tag: str
) -> None:
    assert pipeline.promote("dev", "staging")[0] == 0
    newer = pipeline.build("new")
    pipeline.report("dev")
    assert pipeline.promote("dev", "staging")[0] == 0
    assert remote.tag("staging", "promote/staging") == newer
    assert git(remote.bare, "rev-parse", "promote/staging^") == (
        git(remote.bare, "rev-parse", "env/staging")
    )


def test_the_same_promotion_is_not_pushed_again(
    pipeline: Pipeline, remote: Remote, tag: str
) -> None:
    assert pipeline.promote("dev", "staging")[0] == 0
    before = remote.branches()
    code, output, _ = pipeline.promote("dev", "staging")
    assert code == 0 and "there was already promote/staging; merge it into env/staging" in output
    assert remote.branches() == before, "a push would dismiss the approvals"


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("dev", "prod", "cannot promote dev -> prod; builds are promoted dev -> staging -> prod"),
        ("staging", "dev", "cannot promote staging -> dev"),
        ("dev", "dev", "cannot promote dev -> dev"),
        ("dev", "production", "unknown environment 'production'"),
        ("", "staging", "unknown environment ''"),
    ],
)
def test_invalid_arguments_print_an_error_and_change_nothing(
    pipeline: Pipeline, remote: Remote, source: str, target: str, message: str
) -> None:
    before = remote.branches()
    code, output, errors = pipeline.promote(source, target)
    assert (code, output) == (1, "")
    assert errors.startswith("promote: ") and message in errors and "Traceback" not in errors
    assert remote.branches() == before


def refused(pipeline: Pipeline, *arguments: str) -> str:
    """The error of a promotion that is refused, and that pushes nothing."""
    before = pipeline.remote.branches()
    code, output, errors = pipeline.promote(*arguments)
    assert (code, output) == (1, "") and "Traceback" not in errors
    assert pipeline.remote.branches() == before
    return errors


def test_uncommitted_changes_stop_a_promotion(pipeline: Pipeline, tag: str) -> None:
    (pipeline.clone / "src/app.py").write_text("not committed")
    assert "the working tree has changes" in refused(pipeline, "dev", "staging")


def test_a_shallow_clone_promotes_nothing(pipeline: Pipeline, tag: str) -> None:
    git(pipeline.clone, "fetch", "--quiet", "--depth=1")
    assert "this clone is shallow" in refused(pipeline, "dev", "staging")


def test_an_environment_without_a_branch_says_how_to_create_it(
    pipeline: Pipeline, remote: Remote, tag: str
) -> None:
    git(remote.bare, "branch", "--quiet", "-D", "env/staging")
    errors = refused(pipeline, "dev", "staging")
    assert "env/staging does not exist" in errors
    command = errors.partition("create it with git ")[2].split()
    git(pipeline.clone, *command)
    assert pipeline.promote("dev", "staging")[1] == (
        "staging already has what dev has; nothing to promote\n"
    )


def test_a_promotion_never_takes_away_a_change_by_hand(
    pipeline: Pipeline, remote: Remote, tag: str
) -> None:
    worktree = remote.clone("by-hand")
    git(worktree, "checkout", "--quiet", "env/staging")
    path = "clusters/quota.yaml"
    (worktree / "clusters").mkdir()
    (worktree / path).write_text("more\n")
    git(worktree, "add", ".")
    git(worktree, "commit", "--quiet", "--message=fix: by hand")
    git(worktree, "push", "--quiet", "origin", "env/staging")
    errors = refused(pipeline, "dev", "staging")
    assert "env/staging was changed by hand" in errors and path in errors
    assert image.PATH not in errors, "that is what the promotion shall change"
    remote.commit("fix: for every environment", path, "more\n")
    code, output, errors = pipeline.promote("dev", "staging")
    assert (code, errors) == (0, "")
    assert remote.tree("promote/staging") == remote.tree("main")


def test_a_promotion_never_deploys_an_older_build(pipeline: Pipeline, tag: str) -> None:
    pipeline.deploy("staging")
    pipeline.roll_back("dev", pipeline.remote.first_build)
    pipeline.report("dev")
    errors = refused(pipeline, "dev", "staging")
    assert f"staging's build {tag} is newer than dev's build" in errors
    assert "make rollback ENV=staging" in errors


def test_a_build_that_was_taken_back_is_promoted_only_on_purpose(
    pipeline: Pipeline, remote: Remote, tag: str
) -> None:
    for target in ("staging", "prod"):
        pipeline.deploy(target)
    pipeline.roll_back("prod", remote.first_build)
    pipeline.report("staging")
    assert "it was taken back on 20" in refused(pipeline, "staging", "prod")
    # Newer manifests do not make the build a better one.
    remote.commit("chore: other manifests", DEV, "# changed\n")
    pipeline.deploy("staging")
    pipeline.report("staging")
    assert "it was taken back on 20" in refused(pipeline, "staging", "prod")
    pipeline.deploy("prod", "--again")
    assert remote.tag("prod") == tag
    message = git(remote.bare, "log", "-1", "--format=%B", "promote/prod")
    assert "deployed again: it was taken back on 20" in message
    # Now the environment runs it, and the next build is promoted as usual.
    pipeline.build("next")
    for target in ("staging", "prod"):
        pipeline.deploy(target)


def test_manifests_that_were_taken_back_are_promoted_only_on_purpose(
    pipeline: Pipeline, remote: Remote, tag: str
) -> None:
    pipeline.deploy("staging")
    good = git(remote.bare, "rev-parse", "env/staging")
    remote.commit("feat: bad manifests", DEV, "# changed\n")
    pipeline.deploy("staging")
    pipeline.roll_back("staging", good[:12])
    assert "it was taken back on 20" in refused(pipeline, "dev", "staging")
    assert pipeline.promote("dev", "staging", "--again")[0] == 0


def test_a_build_that_dev_has_not_deployed_is_not_promoted(
    pipeline: Pipeline, remote: Remote
) -> None:
    pipeline.build("new")
    errors = refused(pipeline, "dev", "staging")
    assert "this commit has no status argocd/game-api-dev on GitHub" in errors
    assert "UNVERIFIED=1" in errors


@pytest.mark.parametrize("state", ["failure", "pending"])
def test_a_build_that_is_not_healthy_in_dev_is_not_promoted(
    pipeline: Pipeline, tag: str, state: str
) -> None:
    pipeline.report("dev", state)
    description = {"failure": "Degraded", "pending": "Progressing"}[state]
    assert f"dev is not healthy ({state}): {description} at" in refused(pipeline, "dev", "staging")


def test_the_status_of_another_environment_or_check_does_not_count(
    pipeline: Pipeline, reports: Reports, remote: Remote
) -> None:
    tag = pipeline.build("new")
    revision = git(remote.bare, "rev-parse", "main")
    reports.add("staging", tag, revision)
    reports.github.add_status(NAME, tag, "ci", "success", f"Healthy at {revision}")
    assert "has no status argocd/game-api-dev" in refused(pipeline, "dev", "staging")


@pytest.mark.parametrize("path", [DEV, "apps/game-api/base/settings.env"])
def test_manifests_that_dev_has_not_deployed_are_not_promoted(
    pipeline: Pipeline, remote: Remote, tag: str, path: str
) -> None:
    commit = remote.commit("feat: manifests", path, "# changed\n")
    assert f"dev has not deployed {commit} yet: Healthy at" in refused(pipeline, "dev", "staging")
    pipeline.report("dev")
    assert pipeline.promote("dev", "staging")[0] == 0


@pytest.mark.parametrize("path", [PROD, "clusters/policy.yaml", "README.md"])
def test_what_dev_does_not_render_needs_no_new_report(
    pipeline: Pipeline, remote: Remote, tag: str, path: str
) -> None:
    remote.commit("feat: elsewhere", path, "# changed\n")
    assert pipeline.promote("dev", "staging")[0] == 0


def test_a_report_about_an_unknown_revision_does_not_count(
    pipeline: Pipeline, reports: Reports, tag: str
) -> None:
    reports.add("dev", tag, "f" * 40)
    assert "has not deployed" in refused(pipeline, "dev", "staging")
    reports.add("dev", tag, "nothing")
    assert "has not deployed" in refused(pipeline, "dev", "staging")


def test_a_build_is_healthy_since_it_was_last_not(
    pipeline: Pipeline, reports: Reports, remote: Remote
) -> None:
    pipeline.build("new")
    for state, days in (("success", 9), ("failure", 8), ("success", 3), ("success", 2)):
        pipeline.report("dev", state, timedelta(days=days))
    for _ in range(150):  # More than GitHub returns at once.
        reports.github.add_status(NAME, remote.tag("dev"), "ci", "success", "passed")
    assert "healthy in dev for 3 d 0 h\n" in pipeline.promote("dev", "staging")[1]


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"GH_TOKEN": ""}, "there is no token for GitHub: set GH_TOKEN, or run gh auth login"),
        ({"GH_TOKEN": "wrong"}, "GitHub refuses the token: set GH_TOKEN"),
        ({"GITHUB_API_URL": "http://127.0.0.1:1"}, "cannot read http://127.0.0.1:1/repos/"),
        ({"GITHUB_API_URL": "nonsense"}, "cannot read nonsense/repos/"),
    ],
)
def test_without_github_nothing_is_promoted_unless_on_purpose(
    pipeline: Pipeline, tag: str, tmp_path: Path, environment: dict[str, str], message: str
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    gh = tools / "gh"
    gh.write_text("#!/bin/sh\necho 'not signed in' >&2\nexit 1\n")
    gh.chmod(0o755)
    pipeline.reports.environment |= {"PATH": f"{tools}:/usr/bin:/bin", **environment}
    errors = refused(pipeline, "dev", "staging")
    assert message in errors and "UNVERIFIED=1" in errors
    code, output, errors = pipeline.promote("dev", "staging", "--unverified")
    assert (code, errors) == (0, "") and "healthy" not in output.replace("is healthy", "")
    message = git(pipeline.remote.bare, "log", "-1", "--format=%b", "promote/staging")
    assert "not verified: whether dev is healthy was not checked" in message


def test_the_token_of_gh_is_used(pipeline: Pipeline, tag: str, tmp_path: Path) -> None:
    token = pipeline.reports.environment.pop("GH_TOKEN")
    gh = tmp_path / "gh"
    gh.write_text(f'#!/bin/sh\n[ "$*" = "auth token --hostname github.com" ] && echo {token}\n')
    gh.chmod(0o755)
    pipeline.reports.environment["PATH"] = f"{tmp_path}:/usr/bin:/bin"
    assert pipeline.promote("dev", "staging")[0] == 0


@pytest.mark.parametrize(
    "url",
    [
        f"https://github.com/{NAME}.git",
        f"https://ada@github.com/{NAME}",
        f"git@github.com:{NAME}.git",
        f"ssh://git@github.com:22/{NAME}.git",
        f"git@git.example:{NAME}.git",
    ],
)
def test_the_repository_is_read_from_every_form_of_url(
    pipeline: Pipeline, tag: str, url: str
) -> None:
    git(pipeline.clone, "config", "remote.origin.url", url)
    git(pipeline.clone, "config", f"url.{pipeline.remote.bare}.insteadOf", url)
    code, _, errors = pipeline.promote("dev", "staging")
    assert (code, errors) == (0, "")


def test_a_token_of_the_environment_is_sent_only_to_the_host_that_it_is_for(
    pipeline: Pipeline, tag: str
) -> None:
    url = f"git@git.example:{NAME}.git"
    git(pipeline.clone, "config", "remote.origin.url", url)
    git(pipeline.clone, "config", f"url.{pipeline.remote.bare}.insteadOf", url)
    del pipeline.reports.environment["GITHUB_API_URL"]
    assert "there is no token for GitHub" in refused(pipeline, "dev", "staging")
    pipeline.reports.environment["GH_HOST"] = "git.example"
    assert "cannot read https://git.example/api/v3" in refused(pipeline, "dev", "staging")


def test_a_build_that_dev_went_back_to_needs_a_new_report(pipeline: Pipeline, tag: str) -> None:
    """The last report is from the time before the build that was taken back."""
    pipeline.build("worse")
    pipeline.roll_back("dev", tag)
    assert "Argo CD has not reported it since then" in refused(pipeline, "dev", "staging")
    pipeline.report("dev", ago=timedelta(seconds=-2))
    assert pipeline.promote("dev", "staging")[0] == 0


def test_a_clone_from_elsewhere_is_not_asked_about(pipeline: Pipeline, tag: str) -> None:
    git(pipeline.clone, "config", "remote.origin.url", str(pipeline.remote.bare))
    assert "is not a repository on GitHub" in refused(pipeline, "dev", "staging")


def test_an_image_that_is_not_in_ecr_is_not_promoted(
    pipeline: Pipeline, tag: str, registry: Registry
) -> None:
    pipeline.reports.environment |= registry.environment
    arguments = ("dev", "staging", "--ecr=game-api")
    assert "RepositoryNotFoundException" in refused(pipeline, *arguments)
    registry.create()
    assert f"ECR repository game-api has no image {tag}" in refused(pipeline, *arguments)
    registry.push(tag)
    code, _, errors = pipeline.promote(*arguments)
    assert (code, errors) == (0, "")
    assert pipeline.remote.tag("staging", "promote/staging") == tag


def test_concurrent_promotions_and_bumps_lose_nothing(pipeline: Pipeline, remote: Remote) -> None:
    clones = [remote.clone(f"clone-{n}") for n in range(8)]
    tags = [remote.commit(f"feat: {n}", "src/app.py", str(n)) for n in range(4)]
    bumps = [start(clone, "bump", "dev", tag) for clone, tag in zip(clones, tags)]
    promotions = [start(clone, "promote", "dev", "staging", "--unverified") for clone in clones[4:]]
    for process in (*bumps, *promotions):
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    assert remote.tag("dev") == tags[-1]
    trees = git(remote.bare, "log", "--first-parent", "--format=%T", "main").splitlines()
    if git(remote.bare, "branch", "--list", "promote/staging"):
        assert remote.tree("promote/staging") in trees
    assert run(pipeline.clone, "promote", "dev", "staging", "--unverified")[0] == 0
    assert remote.tree("promote/staging") == remote.tree("main")
    assert git(remote.bare, "fsck", "--strict", "--no-dangling") == ""


def test_a_promotion_starts_again_if_another_one_was_faster(
    pipeline: Pipeline, remote: Remote, tmp_path: Path
) -> None:
    old = pipeline.build("old")
    newest = remote.commit("feat: new", "src/app.py", "new")
    other = remote.clone("other")
    # Just before the first promotion is pushed, a second one promotes another build.
    tool = tmp_path / "tools/git"
    tool.parent.mkdir()
    tool.write_text(
        f'#!/bin/sh\nPATH="{os.environ["PATH"]}"\n'
        f'if [ "$1" = push ] && mkdir {tmp_path}/once 2>/dev/null; then\n'
        f"  (cd {other} && {sys.executable} -m gitops bump dev {newest}\n"
        f"  {sys.executable} -m gitops promote dev staging --unverified) >&2\n"
        'fi\nexec git "$@"\n'
    )
    tool.chmod(0o755)
    pipeline.reports.environment["PATH"] = f"{tool.parent}:{os.environ['PATH']}"
    code, output, errors = pipeline.promote("dev", "staging", "--unverified")
    assert (code, errors) == (0, "") and f"-> {newest}" in output and old not in output
    assert output.endswith(
        "there was already promote/staging; merge it into env/staging to deploy\n"
    )
    assert remote.tag("staging", "promote/staging") == newest


def test_make_promote_runs_the_promote_command() -> None:
    python = f"BIN={Path(sys.executable).parent}"
    command = ["make", "-s", "-o.venv/base", python, "promote", "FROM=dev", "TO=prod"]
    for options in ([], ["AGAIN=1", "UNVERIFIED=1", "ECR=game-api"]):
        result = subprocess.run([*command, *options], cwd=ROOT, text=True, capture_output=True)
        assert result.returncode != 0
        assert "promote: cannot promote dev -> prod" in result.stderr
