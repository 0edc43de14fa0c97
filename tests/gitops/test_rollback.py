"""`make rollback` lists what an environment ran, and goes back to it with a new commit."""

import subprocess
from pathlib import Path

import pytest

from tests.gitops.clones import ROOT, Remote, git, run, start
from tests.gitops.conftest import Pipeline

Builds = tuple[str, str, str]


@pytest.fixture
def builds(pipeline: Pipeline) -> Builds:
    """Three builds that ran in every environment. The last one runs."""
    one, two, three = (deploy_everywhere(pipeline, name) for name in ("one", "two", "three"))
    return one, two, three


def deploy_everywhere(pipeline: Pipeline, name: str) -> str:
    tag = pipeline.build(name)
    pipeline.deploy("staging")
    pipeline.deploy("prod")
    return tag


def listed(pipeline: Pipeline, environment: str) -> list[str]:
    code, output, errors = run(pipeline.clone, "rollback", environment)
    assert (code, errors) == (0, "")
    *lines, hint = output.splitlines()
    assert hint == f"to go back, run make rollback ENV={environment} TO=<build>"
    return lines


def test_without_a_build_the_earlier_ones_are_listed(
    pipeline: Pipeline, remote: Remote, builds: Builds
) -> None:
    before = remote.branches()
    lines = listed(pipeline, "prod")
    assert [line.split()[0] for line in lines] == [
        tag[:12] for tag in (*builds[::-1], remote.first_build)
    ]
    assert "  0 min ago  feat: three  " in lines[0] and lines[0].endswith("running")
    assert lines[1].endswith("feat: two") and lines[3].endswith("feat: the first build")
    assert remote.branches() == before
    pipeline.roll_back("prod", builds[0])
    lines = listed(pipeline, "prod")
    assert lines[0].startswith(builds[0][:12]) and lines[0].endswith("running")
    assert [line.split()[0] for line in lines[1:3]] == [tag[:12] for tag in builds[:0:-1]]
    assert all("  taken back 20" in line for line in lines[1:3]), "both are behind it"
    assert "taken back" not in lines[3]


def test_a_rollback_pushes_a_branch_with_an_earlier_tree(
    pipeline: Pipeline, remote: Remote, builds: Builds, tmp_path: Path
) -> None:
    outputs, before = tmp_path / "outputs", remote.tree("env/prod")
    # The tree is that of production, although it has been changed elsewhere since.
    expected = remote.tree("env/prod~1")
    remote.commit("feat: manifests", "clusters/policy.yaml", "new")
    arguments = ("rollback", "prod", builds[1][:7])
    code, output, errors = run(pipeline.clone, *arguments, GITHUB_OUTPUT=str(outputs))
    assert (code, errors) == (0, "")
    assert outputs.read_text() == "branch=rollback/prod\nbase=env/prod\n"
    lines = output.splitlines()
    assert lines[:2] == [f"prod: {builds[2]} -> {builds[1]}", "taken back:"]
    assert lines[2].endswith(" feat: three") and lines[3] == "manifests:"
    assert lines[-1] == "pushed rollback/prod; merge it into env/prod to deploy"
    assert remote.tree("env/prod") == before, "the environment only changes with the merge"
    assert remote.tree("rollback/prod") == expected
    assert git(remote.bare, "rev-parse", "rollback/prod^") == git(
        remote.bare, "rev-parse", "env/prod"
    )
    assert remote.log("rollback/prod")[0] == f"deploy(prod): go back to game-api {builds[1][:12]}"
    branches = remote.branches()
    assert "there was already rollback/prod" in run(pipeline.clone, *arguments)[1]
    assert remote.branches() == branches


@pytest.mark.parametrize("method", ["--no-ff", "--squash"])
def test_every_rollback_can_be_taken_back_itself(
    pipeline: Pipeline, remote: Remote, builds: Builds, method: str
) -> None:
    for tag in (builds[0], builds[2], builds[1]):
        assert run(pipeline.clone, "rollback", "staging", tag)[0] == 0
        remote.merge("rollback/staging", "env/staging", method)
        assert remote.tag("staging") == tag
    lines = listed(pipeline, "staging")
    assert [line.split()[0] for line in lines[:3]] == [
        tag[:12] for tag in (builds[1], builds[2], builds[0])
    ]
    assert "taken back" in lines[1] and "taken back" not in lines[2]


def test_a_rollback_of_manifests_alone_names_the_deployment(
    pipeline: Pipeline, remote: Remote, builds: Builds
) -> None:
    good = remote.tree("env/prod")
    remote.commit("feat: bad manifests", "clusters/policy.yaml", "bad")
    pipeline.deploy("staging")
    pipeline.deploy("prod")
    code, _, errors = run(pipeline.clone, "rollback", "prod", builds[2])
    assert code == 1 and f"{builds[2]} is what prod runs now" in errors
    lines = listed(pipeline, "prod")
    assert lines[1].startswith(builds[2][:12])
    to = lines[1].partition("(other manifests: TO=")[2].removesuffix(")")
    pipeline.roll_back("prod", to)
    assert remote.tree("env/prod") == good
    lines = listed(pipeline, "prod")
    assert lines[0].endswith("running") and "taken back 20" in lines[1]


def test_a_rollback_of_dev_commits_an_earlier_tag_to_main(
    pipeline: Pipeline, remote: Remote, builds: Builds
) -> None:
    remote.commit("feat: manifests", "clusters/policy.yaml", "new")
    code, output, errors = run(pipeline.clone, "rollback", "dev", builds[0])
    assert (code, errors) == (0, "")
    assert output.startswith(f"dev: {builds[2]} -> {builds[0]}\n")
    assert "pushed to main; the next release of main deploys the newest build again" in output
    assert remote.tag("dev") == builds[0]
    assert remote.log()[:2] == [
        f"deploy(dev): go back to game-api {builds[0][:12]}",
        "feat: manifests",
    ]
    assert git(remote.bare, "diff", "--shortstat", "main~1", "main") == (
        "1 file changed, 1 insertion(+), 1 deletion(-)"
    )
    assert git(pipeline.clone, "rev-parse", "HEAD") == git(remote.bare, "rev-parse", "main")
    newer = pipeline.build("four")
    assert remote.tag("dev") == newer


def test_errors_say_what_is_wrong_and_change_nothing(
    pipeline: Pipeline, remote: Remote, builds: Builds
) -> None:
    elsewhere = remote.commit("feat: not released", "src/app.py", "5")
    before = remote.branches()
    for environment, to, message in (
        ("prod", builds[2], f"{builds[2]} is what prod runs now"),
        ("prod", elsewhere, f"{elsewhere} never ran in prod"),
        ("prod", "0" * 40, f"there is no build {'0' * 40}"),
        ("prod", builds[1][:6], "give at least 7 characters"),
        ("prod", "latest", "'latest' is not a build"),
        ("production", builds[1], "unknown environment 'production'"),
        ("production", "", "unknown environment 'production'"),
        ("dev", git(remote.bare, "rev-parse", "main~1"), "never ran in dev"),
    ):
        arguments = [environment, to] if to else [environment]
        code, output, errors = run(pipeline.clone, "rollback", *arguments)
        assert (code, output) == (1, "")
        assert errors.startswith("rollback: ") and message in errors and "Traceback" not in errors
    assert remote.branches() == before
    git(remote.bare, "branch", "--quiet", "-D", "env/prod")
    code, _, errors = run(pipeline.clone, "rollback", "prod")
    assert code == 1 and "env/prod does not exist" in errors


def test_a_branch_without_any_tag_says_so(pipeline: Pipeline, remote: Remote) -> None:
    root = git(remote.bare, "rev-list", "--max-parents=0", "main")
    git(remote.bare, "branch", "--force", "env/prod", root)
    for arguments in (("rollback", "prod"), ("rollback", "prod", "a" * 40)):
        code, _, errors = run(pipeline.clone, *arguments)
        assert code == 1 and "env/prod has no commit with an image tag" in errors
    code, output, _ = run(pipeline.clone, "status")
    assert code == 0 and "env/prod has no commit with an image tag" in output


def test_builds_that_ran_only_before_the_branch_was_created_are_not_offered(
    pipeline: Pipeline, remote: Remote
) -> None:
    earlier, current = pipeline.build("one"), pipeline.build("two")
    git(remote.bare, "branch", "--force", "env/prod", "main")
    (line,) = listed(pipeline, "prod")
    assert line.startswith(current[:12]) and line.endswith("running")
    code, _, errors = run(pipeline.clone, "rollback", "prod", earlier)
    assert code == 1 and f"{earlier} never ran in prod" in errors


def test_a_promotion_that_a_rollback_overtook_cannot_be_merged_unseen(
    pipeline: Pipeline, remote: Remote, builds: Builds
) -> None:
    pipeline.build("four")
    pipeline.report("dev")
    assert pipeline.promote("dev", "staging")[0] == 0
    pipeline.roll_back("staging", builds[0])
    with pytest.raises(AssertionError, match="(?i)conflict"):
        remote.merge("promote/staging", "env/staging")
    assert remote.tag("staging") == builds[0]
    # Promoted again, it has the new tip as its parent, and nothing of the rollback is lost.
    assert pipeline.promote("dev", "staging")[0] == 0
    remote.merge("promote/staging", "env/staging")
    assert remote.tree("env/staging") == remote.tree("main")


def test_concurrent_rollbacks_promotions_and_bumps_lose_nothing(
    pipeline: Pipeline, remote: Remote, builds: Builds
) -> None:
    clones = [remote.clone(f"clone-{n}") for n in range(6)]
    newer = remote.commit("feat: four", "src/app.py", "4")
    processes = [
        start(clones[0], "rollback", "dev", builds[0]),
        start(clones[1], "bump", "dev", newer),
        start(clones[2], "rollback", "prod", builds[0]),
        start(clones[3], "rollback", "prod", builds[1]),
        start(clones[4], "promote", "dev", "staging", "--unverified"),
        start(clones[5], "rollback", "dev", builds[1]),
    ]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        # Whatever came first, a promotion may find that dev went back behind staging.
        assert process.returncode == 0 or "is newer than dev's build" in errors, errors
    deployed = [line for line in remote.log() if line.startswith("deploy(dev)")]
    assert f"deploy(dev): game-api {newer[:12]}" in deployed
    assert f"deploy(dev): go back to game-api {builds[0][:12]}" in deployed
    assert f"deploy(dev): go back to game-api {builds[1][:12]}" in deployed
    assert remote.tag("prod", "rollback/prod") in builds[:2]
    assert git(remote.bare, "rev-parse", "rollback/prod^") == git(
        remote.bare, "rev-parse", "env/prod"
    )
    assert git(remote.bare, "fsck", "--strict", "--no-dangling") == ""


def test_a_working_tree_with_changes_does_not_stop_a_rollback_and_keeps_them(
    pipeline: Pipeline, remote: Remote, builds: Builds
) -> None:
    (pipeline.clone / "src/app.py").write_text("not committed")
    head = git(pipeline.clone, "rev-parse", "HEAD")
    assert run(pipeline.clone, "rollback", "prod", builds[0])[0] == 0
    assert (pipeline.clone / "src/app.py").read_text() == "not committed"
    assert git(pipeline.clone, "rev-parse", "HEAD") == head


@pytest.mark.parametrize("arguments", [[], ["TO=0123456"]])
def test_make_rollback_runs_the_rollback_command(arguments: list[str]) -> None:
    command = ["make", "--silent", "rollback", "ENV=production", *arguments]
    result = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert result.returncode != 0
    assert "rollback: unknown environment 'production'" in result.stderr
