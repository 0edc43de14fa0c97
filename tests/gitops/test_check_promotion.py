"""`make check-promotion` lets only what was there before into the branch of an environment."""

import subprocess

import pytest

from tests.gitops.clones import ROOT, Remote, git, run
from tests.gitops.conftest import Pipeline


def check(pipeline: Pipeline, environment: str, commit: str) -> tuple[int, str, str]:
    """Check the commit in a new clone, which has the commit, as CI does."""
    sha = git(pipeline.remote.bare, "rev-parse", commit)
    git(pipeline.clone, "fetch", "--quiet", "origin", sha)
    return run(pipeline.clone, "check-promotion", environment, sha)


def test_a_promotion_passes(pipeline: Pipeline, remote: Remote) -> None:
    pipeline.build("one")
    pipeline.deploy("staging")
    pipeline.deploy("prod")
    for target, source in (("staging", "main"), ("prod", "env/staging")):
        for commit in (f"promote/{target}", f"env/{target}"):
            code, output, errors = check(pipeline, target, commit)
            assert (code, errors) == (0, "") and f"has the tree that {source} had at" in output


def test_a_promotion_passes_although_its_source_has_moved(
    pipeline: Pipeline, remote: Remote
) -> None:
    pipeline.build("one")
    pipeline.report("dev")
    assert pipeline.promote("dev", "staging")[0] == 0
    pipeline.build("two")
    assert check(pipeline, "staging", "promote/staging")[0] == 0


def test_a_rollback_passes(pipeline: Pipeline, remote: Remote) -> None:
    """Even to a tree that only this environment had."""
    own = pipeline.build("one")
    git(remote.bare, "branch", "--force", "env/prod", "main")
    pipeline.build("two")
    for target in ("staging", "prod"):
        pipeline.deploy(target)
    assert run(pipeline.clone, "rollback", "prod", own)[0] == 0
    code, output, errors = check(pipeline, "prod", "rollback/prod")
    assert (code, errors) == (0, "") and "has the tree that env/prod had at" in output


def test_what_the_source_never_had_is_refused(pipeline: Pipeline, remote: Remote) -> None:
    pipeline.build("one")
    pipeline.deploy("staging")
    pipeline.build("two")
    code, output, errors = check(pipeline, "prod", "main")
    assert (code, output) == (1, "")
    assert "neither env/staging nor env/prod ever had the tree of" in errors
    assert "apps/game-api/base/kustomization.yaml" in errors and "src/app.py" in errors


def test_a_change_by_hand_on_top_of_a_promotion_is_refused(
    pipeline: Pipeline, remote: Remote
) -> None:
    pipeline.build("one")
    pipeline.report("dev")
    assert pipeline.promote("dev", "staging")[0] == 0
    git(pipeline.clone, "checkout", "--quiet", "promote/staging")
    (pipeline.clone / "src/app.py").write_text("by hand")
    git(pipeline.clone, "commit", "--quiet", "--all", "--message=fix: by hand")
    git(pipeline.clone, "push", "--quiet", "origin", "promote/staging")
    code, _, errors = check(pipeline, "staging", "promote/staging")
    assert code == 1 and "src/app.py" in errors and "kustomization" not in errors


def test_what_main_had_before_the_branch_of_staging_was_created_is_refused(
    pipeline: Pipeline, remote: Remote
) -> None:
    pipeline.build("one")
    before = git(remote.bare, "rev-parse", "main")
    pipeline.build("two")
    for name in ("env/staging", "env/prod"):
        git(remote.bare, "branch", "--force", name, "main")
    code, _, errors = check(pipeline, "prod", before)
    assert code == 1 and "neither env/staging nor env/prod ever had the tree" in errors


def test_a_commit_of_a_branch_that_was_merged_into_main_is_refused(
    pipeline: Pipeline, remote: Remote
) -> None:
    """It was never the tip of `main`, so dev never had it."""
    git(pipeline.clone, "checkout", "--quiet", "-b", "topic")
    (pipeline.clone / "topic").write_text("half of it")
    git(pipeline.clone, "add", ".")
    git(pipeline.clone, "commit", "--quiet", "--message=feat: half of it")
    (pipeline.clone / "topic").write_text("all of it")
    git(pipeline.clone, "commit", "--quiet", "--all", "--message=feat: all of it")
    git(pipeline.clone, "push", "--quiet", "origin", "topic")
    remote.merge("topic", "main")
    assert check(pipeline, "staging", "main")[0] == 0
    assert check(pipeline, "staging", "topic~1")[0] == 1


@pytest.mark.parametrize(
    ("environment", "commit", "message"),
    [
        ("dev", "a" * 40, "dev follows main; nothing is promoted to it"),
        ("production", "a" * 40, "unknown environment 'production'"),
        ("prod", "a" * 40, "is not in this clone"),
        ("prod", "", "is not in this clone"),
    ],
)
def test_invalid_arguments_print_an_error(
    pipeline: Pipeline, environment: str, commit: str, message: str
) -> None:
    code, output, errors = run(pipeline.clone, "check-promotion", environment, commit)
    assert (code, output) == (1, "")
    assert errors.startswith("check-promotion: ") and message in errors
    assert "Traceback" not in errors


def test_make_check_promotion_runs_the_command() -> None:
    command = ["make", "--silent", "check-promotion", "ENV=dev", f"COMMIT={'a' * 40}"]
    result = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert result.returncode != 0
    assert "check-promotion: dev follows main" in result.stderr
