"""`make bump`: a commit that changes one tag, whatever else is pushed at the same time."""

import subprocess

import pytest

from tests.gitops.clones import ROOT, Remote, git, run, start


def test_a_bump_is_one_commit_that_changes_one_line(remote: Remote) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    clone = remote.clone("clone")
    code, output, errors = run(clone, "bump", "dev", tag)
    assert (code, output, errors) == (0, f"dev: {remote.first} -> {tag}\n", "")
    assert remote.log()[0] == f"deploy(dev): game-api {tag[:12]}"
    assert git(remote.bare, "diff", "--shortstat", "main~1", "main") == (
        "1 file changed, 1 insertion(+), 1 deletion(-)"
    )
    assert (remote.tag("dev"), remote.tag("staging")) == (tag, remote.first)
    assert git(clone, "rev-parse", "HEAD") == git(remote.bare, "rev-parse", "main")
    assert git(clone, "status", "--porcelain") == ""


def test_a_bump_works_on_what_the_remote_holds_not_on_an_old_clone(remote: Remote) -> None:
    clone = remote.clone("clone")
    tag = remote.commit("feat: more", "src/app.py", "2")
    assert run(clone, "bump", "dev", tag)[0] == 0
    assert remote.log()[:2] == [f"deploy(dev): game-api {tag[:12]}", "feat: more"]


@pytest.mark.parametrize("first", ["oldest", "newest"])
def test_ten_bumps_at_once_lose_nothing_and_the_newest_wins(remote: Remote, first: str) -> None:
    tags = [remote.commit(f"feat: {n}", "src/app.py", str(n)) for n in range(10)]
    clones = [remote.clone(f"clone-{n}") for n in range(10)]
    order = tags if first == "oldest" else tags[::-1]
    # People push other things meanwhile.
    bumps = [start(clone, "bump", "dev", tag) for clone, tag in zip(clones, order)]
    pushed: list[str] = []
    while any(bump.poll() is None for bump in bumps) and len(pushed) < 20:
        try:
            pushed.append(f"docs: {len(pushed)}")
            remote.commit(pushed[-1], "README.md", pushed[-1])
        except AssertionError:  # lost a race, as people do; they would try again
            git(remote.seed, "reset", "--quiet", "--hard", "origin/main")
            pushed.pop()
    for bump in bumps:
        _, errors = bump.communicate(timeout=60)
        assert bump.returncode == 0, errors
    assert remote.tag("dev") == tags[9]
    log = remote.log()
    assert [line for line in log if line.startswith("docs:")] == pushed[::-1]
    # Each deployment was newer than the one before it.
    done = [line.split()[-1] for line in log[::-1] if line.startswith("deploy(dev)")]
    assert done == sorted(done, key=[tag[:12] for tag in tags].index)
    assert git(remote.bare, "fsck", "--strict", "--no-dangling") == ""


def test_a_bump_never_goes_back(remote: Remote) -> None:
    older = remote.commit("feat: more", "src/app.py", "2")
    newer = remote.commit("feat: yet more", "src/app.py", "3")
    clone = remote.clone("clone")
    assert run(clone, "bump", "dev", newer)[0] == 0
    before = remote.state()
    code, output, _ = run(clone, "bump", "dev", older)
    assert (code, output) == (0, f"dev already has a newer build, {newer}\n")
    code, output, _ = run(clone, "bump", "dev", newer)
    assert (code, output) == (0, "dev already has this build\n")
    assert remote.state() == before


def test_a_revert_goes_back_and_the_next_bump_goes_on(remote: Remote) -> None:
    clone = remote.clone("clone")
    bad = remote.commit("feat: bad", "src/app.py", "2")
    assert run(clone, "bump", "dev", bad)[0] == 0
    git(clone, "revert", "--no-edit", "HEAD")
    git(clone, "push", "--quiet", "origin", "main")
    assert remote.tag("dev") == remote.first
    good = remote.commit("fix: good", "src/app.py", "3")
    assert run(clone, "bump", "dev", good)[0] == 0
    assert remote.tag("dev") == good


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere", "a" * 40], "no environment 'nowhere'; there are dev, staging, prod"),
        (["../dev", "a" * 40], "no environment '../dev'"),
        (["prod", "a" * 40], "a build enters at dev; promote brings it to prod"),
        (["dev", "latest"], "'latest' is no tag"),
        (["dev", ""], "'' is no tag"),
        (["dev", "A" * 40], "is no tag"),
        (["dev", "a" * 39], "is no tag"),
        (["dev", "a" * 40 + "\n"], "is no tag"),
        (["dev", "a" * 40], "is not on main"),
    ],
)
def test_a_mistake_is_one_clear_line_and_changes_nothing(
    remote: Remote, arguments: list[str], says: str
) -> None:
    clone = remote.clone("clone")
    before = remote.state(), git(clone, "rev-parse", "HEAD")
    code, output, errors = run(clone, "bump", *arguments)
    assert (code, output) == (1, "")
    assert errors.startswith("bump: ") and says in errors and "Traceback" not in errors
    assert (remote.state(), git(clone, "rev-parse", "HEAD")) == before


def test_a_commit_that_is_not_on_main_is_refused(remote: Remote) -> None:
    clone = remote.clone("clone")
    (clone / "src/app.py").write_text("mine")
    git(clone, "commit", "--quiet", "--all", "--message=feat: mine alone")
    before = remote.state()
    code, _, errors = run(clone, "bump", "dev", git(clone, "rev-parse", "HEAD"))
    assert code == 1 and "is not on main" in errors
    assert remote.state() == before


def test_a_dirty_tree_is_refused_and_kept(remote: Remote) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    clone = remote.clone("clone")
    (clone / "src/app.py").write_text("not committed")
    before = remote.state()
    code, _, errors = run(clone, "bump", "dev", tag)
    assert code == 1 and "the working tree has changes" in errors and "src/app.py" in errors
    assert remote.state() == before
    assert (clone / "src/app.py").read_text() == "not committed"


@pytest.mark.parametrize("words", ["main is protected", "GH006: cannot change a locked branch"])
def test_a_push_that_is_forbidden_is_an_error_and_no_lost_race(remote: Remote, words: str) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    clone = remote.clone("clone")
    hook = remote.bare / "hooks/pre-receive"
    hook.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    hook.chmod(0o755)
    code, _, errors = run(clone, "bump", "dev", tag)
    assert code == 1 and words in errors and "moved under" not in errors
    assert git(clone, "log", "-1", "--format=%s") == "feat: more"


def test_an_answer_lost_on_the_way_is_not_pushed_twice(remote: Remote) -> None:
    tag = remote.commit("feat: more", "src/app.py", "2")
    clone = remote.clone("clone")
    # The push arrives, and the one who pushed is told that it did not.
    hook = remote.bare / "hooks/post-update"
    hook.write_text("#!/bin/sh\nkill -9 $(ps -o ppid= -p $PPID)\n")
    hook.chmod(0o755)
    code, output, errors = run(clone, "bump", "dev", tag)
    assert (code, output) == (0, "dev already has this build\n"), errors
    assert remote.log()[:2] == [f"deploy(dev): game-api {tag[:12]}", "feat: more"]


def test_make_bump_is_that_command(remote: Remote) -> None:
    done = subprocess.run(
        ["make", "--silent", "bump", "ENV=dev", "TAG=latest"],
        cwd=ROOT,
        text=True,
        capture_output=True,
    )
    assert done.returncode != 0
    assert "bump: 'latest' is no tag" in done.stderr
