"""`make bump` pushes a commit that changes one tag, whatever else is pushed at the same time."""

import subprocess

import pytest

from tests.gitops.clones import ROOT, Remote, git, run, start


def test_a_bump_pushes_one_commit_that_changes_one_line(remote: Remote) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    clone = remote.clone("clone")
    code, output, errors = run(clone, "bump", "dev", tag)
    assert (code, output, errors) == (0, f"dev: {remote.first_build} -> {tag}\n", "")
    assert remote.log()[0] == f"deploy(dev): game-api {tag[:12]}"
    assert git(remote.bare, "diff", "--shortstat", "main~1", "main") == (
        "1 file changed, 1 insertion(+), 1 deletion(-)"
    )
    assert (remote.tag("dev"), remote.tag("staging")) == (tag, remote.first_build)
    assert git(clone, "rev-parse", "HEAD") == git(remote.bare, "rev-parse", "main")
    assert git(clone, "status", "--porcelain") == ""


def test_a_bump_from_an_outdated_clone_commits_on_top_of_the_remote(remote: Remote) -> None:
    clone = remote.clone("clone")
    tag = remote.commit("feat: more", "src/app.py", "2")
    assert run(clone, "bump", "dev", tag)[0] == 0
    assert remote.log()[:2] == [f"deploy(dev): game-api {tag[:12]}", "feat: more"]


@pytest.mark.parametrize("first", ["oldest", "newest"])
def test_concurrent_bumps_lose_no_commit_and_the_newest_build_wins(
    remote: Remote, first: str
) -> None:
    tags = [remote.commit(f"feat: {n}", "src/app.py", str(n)) for n in range(10)]
    clones = [remote.clone(f"clone-{n}") for n in range(10)]
    order = tags if first == "oldest" else tags[::-1]
    bumps = [start(clone, "bump", "dev", tag) for clone, tag in zip(clones, order)]
    # Push unrelated commits while the bumps run.
    pushed: list[str] = []
    while any(bump.poll() is None for bump in bumps) and len(pushed) < 20:
        try:
            pushed.append(f"docs: {len(pushed)}")
            remote.commit(pushed[-1], "README.md", pushed[-1])
        except AssertionError:  # A bump came first, so the commit is dropped.
            git(remote.seed, "reset", "--quiet", "--hard", "origin/main")
            pushed.pop()
    for bump in bumps:
        _, errors = bump.communicate(timeout=60)
        assert bump.returncode == 0, errors
    assert remote.tag("dev") == tags[9]
    log = remote.log()
    assert [line for line in log if line.startswith("docs:")] == pushed[::-1]
    deployed = [line.split()[-1] for line in log[::-1] if line.startswith("deploy(dev)")]
    assert deployed == sorted(deployed, key=[tag[:12] for tag in tags].index), "oldest to newest"
    assert git(remote.bare, "fsck", "--strict", "--no-dangling") == ""


def test_a_bump_never_deploys_an_older_build(remote: Remote) -> None:
    older = remote.commit("feat: more", "src/app.py", "2")
    newer = remote.commit("feat: yet more", "src/app.py", "3")
    clone = remote.clone("clone")
    assert run(clone, "bump", "dev", newer)[0] == 0
    before = remote.branches()
    code, output, _ = run(clone, "bump", "dev", older)
    assert (code, output) == (0, f"dev already has a newer build, {newer}\n")
    code, output, _ = run(clone, "bump", "dev", newer)
    assert (code, output) == (0, "dev already has this build\n")
    assert remote.branches() == before


def test_a_bump_after_a_revert_deploys_the_next_build(remote: Remote) -> None:
    clone = remote.clone("clone")
    bad = remote.commit("feat: bad", "src/app.py", "2")
    assert run(clone, "bump", "dev", bad)[0] == 0
    git(clone, "revert", "--no-edit", "HEAD")
    git(clone, "push", "--quiet", "origin", "main")
    assert remote.tag("dev") == remote.first_build
    good = remote.commit("fix: good", "src/app.py", "3")
    assert run(clone, "bump", "dev", good)[0] == 0
    assert remote.tag("dev") == good


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["nowhere", "a" * 40],
            "unknown environment 'nowhere'; the environments are dev, staging, prod",
        ),
        (["../dev", "a" * 40], "unknown environment '../dev'"),
        (["prod", "a" * 40], "bump only deploys to dev; promote brings a build to prod"),
        (["dev", "latest"], "'latest' is not a valid tag"),
        (["dev", ""], "'' is not a valid tag"),
        (["dev", "A" * 40], "is not a valid tag"),
        (["dev", "a" * 39], "is not a valid tag"),
        (["dev", "a" * 40 + "\n"], "is not a valid tag"),
        (["dev", "a" * 40], "is not on main"),
    ],
)
def test_invalid_arguments_print_an_error_and_change_nothing(
    remote: Remote, arguments: list[str], message: str
) -> None:
    clone = remote.clone("clone")
    before = remote.branches(), git(clone, "rev-parse", "HEAD")
    code, output, errors = run(clone, "bump", *arguments)
    assert (code, output) == (1, "")
    assert errors.startswith("bump: ") and message in errors and "Traceback" not in errors
    assert (remote.branches(), git(clone, "rev-parse", "HEAD")) == before


def test_a_commit_that_is_not_on_main_is_rejected(remote: Remote) -> None:
    clone = remote.clone("clone")
    (clone / "src/app.py").write_text("local")
    git(clone, "commit", "--quiet", "--all", "--message=feat: only in this clone")
    before = remote.branches()
    code, _, errors = run(clone, "bump", "dev", git(clone, "rev-parse", "HEAD"))
    assert code == 1 and "is not on main" in errors
    assert remote.branches() == before


def test_uncommitted_changes_stop_a_bump_and_are_kept(remote: Remote) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    clone = remote.clone("clone")
    (clone / "src/app.py").write_text("not committed")
    before = remote.branches()
    code, _, errors = run(clone, "bump", "dev", tag)
    assert code == 1 and "the working tree has changes" in errors and "src/app.py" in errors
    assert remote.branches() == before
    assert (clone / "src/app.py").read_text() == "not committed"


@pytest.mark.parametrize("reason", ["main is protected", "GH006: cannot change a locked branch"])
def test_a_forbidden_push_fails_instead_of_being_retried(remote: Remote, reason: str) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    clone = remote.clone("clone")
    hook = remote.bare / "hooks/pre-receive"
    hook.write_text(f"#!/bin/sh\necho '{reason}' >&2\nexit 1\n")
    hook.chmod(0o755)
    code, _, errors = run(clone, "bump", "dev", tag)
    assert code == 1 and reason in errors and "gave up" not in errors
    assert git(clone, "log", "-1", "--format=%s") == "feat: more"


def test_a_push_whose_response_is_lost_is_not_repeated(remote: Remote) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    clone = remote.clone("clone")
    # The remote accepts the push, but the client sees it fail.
    hook = remote.bare / "hooks/post-update"
    hook.write_text("#!/bin/sh\nkill -9 $(ps -o ppid= -p $PPID)\n")
    hook.chmod(0o755)
    code, output, errors = run(clone, "bump", "dev", tag)
    assert (code, output) == (0, "dev already has this build\n"), errors
    assert remote.log()[:2] == [f"deploy(dev): game-api {tag[:12]}", "feat: more"]


def test_make_bump_runs_the_bump_command() -> None:
    result = subprocess.run(
        ["make", "--silent", "bump", "ENV=dev", "TAG=latest"],
        cwd=ROOT,
        text=True,
        capture_output=True,
    )
    assert result.returncode != 0
    assert "bump: 'latest' is not a valid tag" in result.stderr
