"""A git clone that commits on top of its remote's branches without using its working tree."""

import os
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from gitops.errors import GitOpsError
from gitops.overlay import MAIN

REMOTE = "origin"

BRANCHES = (MAIN, "env/*", "promote/*", "rollback/*")
"""The branches that these commands read, and all that they push to."""

MAX_PUSHES = 50
"""How often to try a push. Each failed try means that another push succeeded."""

COLLISIONS = ("cannot lock ref", "failed to update ref", "Unable to create")
"""Parts of git's error messages for two pushes that reach the remote at the same time."""


class Commit(NamedTuple):
    """A commit of a branch: its SHA, that of its tree, and when it was committed."""

    sha: str
    tree: str
    time: datetime


class Repository:
    """The clone at `root`. If git fails, methods raise GitOpsError with git's error message."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *arguments: str, stdin: str | None = None, **environment: str) -> str:
        """Run git and return its standard output."""
        result = self._run(arguments, stdin, environment)
        if result.returncode != 0:
            reason = result.stderr.strip() or result.stdout.strip()
            raise GitOpsError(f"git {arguments[0]}: {reason}")
        return result.stdout

    def _run(
        self, arguments: tuple[str, ...], stdin: str | None, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ("git", *arguments),
            cwd=self.root,
            env={**os.environ, "LC_ALL": "C", **environment},
            input=stdin,
            text=True,
            errors="surrogateescape",
            capture_output=True,
        )

    def _succeeds(self, *arguments: str) -> bool:
        return self._run(arguments, None, {}).returncode == 0

    def check_clean(self) -> None:
        """Raise GitOpsError if there are uncommitted changes to tracked files."""
        changes = self.git("status", "--porcelain", "--untracked-files=no")
        if changes:
            raise GitOpsError(
                f"the working tree has changes; commit or stash them:\n{changes.rstrip()}"
            )

    def fetch(self) -> None:
        """Fetch the remote's BRANCHES. Raises GitOpsError if the clone is shallow."""
        if self.git("rev-parse", "--is-shallow-repository").strip() == "true":
            raise GitOpsError("this clone is shallow; run git fetch --unshallow first")
        refs = [f"+refs/heads/{name}:refs/remotes/{REMOTE}/{name}" for name in BRANCHES]
        self.git("fetch", "--quiet", "--prune", REMOTE, *refs)

    def find(self, branch: str) -> str | None:
        """The commit of the remote's branch when it was last fetched, or None if there is none."""
        name = f"refs/remotes/{REMOTE}/{branch}"
        return (
            self._run(("rev-parse", "--verify", "--quiet", name), None, {}).stdout.strip() or None
        )

    def tip(self, branch: str) -> str:
        """The commit of the remote's branch when it was last fetched."""
        if (commit := self.find(branch)) is None:
            raise GitOpsError(
                f"{branch} does not exist: create it with git push {REMOTE} {MAIN}:{branch}"
            )
        return commit

    def first_parents(self, commit: str) -> list[Commit]:
        """The commit and its first ancestors, newest first: all that the tip of a branch was."""
        log = self.git("log", "--first-parent", "--format=%H %T %ct", commit)
        lines = (line.split() for line in log.splitlines())
        return [Commit(sha, tree, datetime.fromtimestamp(int(at), UTC)) for sha, tree, at in lines]

    def read(self, commit: str, path: str) -> str:
        """The text of a file at a commit."""
        return self.git("show", f"{commit}:{path}")

    def tree(self, commit: str) -> str:
        """The SHA of the commit's tree."""
        return self.git("rev-parse", "--verify", f"{commit}^{{tree}}").strip()

    def object_ids(self, names: Iterable[str]) -> list[str]:
        """The id of each object, such as `COMMIT:PATH`, and nothing for one that does not exist."""
        lines = "".join(f"{name}\n" for name in names)
        output = self.git("cat-file", "--batch-check=%(objectname)", stdin=lines)
        return ["" if line.endswith(" missing") else line for line in output.splitlines()]

    def texts(self, blobs: Iterable[str]) -> dict[str, str]:
        """The text of each blob, by its id."""
        output = self.git(
            "cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in blobs if blob)
        )
        parts = re.split(r"^([0-9a-f]{40}) blob \d+\n", output, flags=re.MULTILINE)[1:]
        return dict(zip(parts[::2], parts[1::2]))

    def has_commit(self, commit: str) -> bool:
        """Whether the clone has this commit."""
        return self._succeeds("cat-file", "-e", f"{commit}^{{commit}}")

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `older` is an ancestor of `newer`. A commit is its own ancestor."""
        return self._succeeds("merge-base", "--is-ancestor", older, newer)

    def commits_between(self, older: str, newer: str) -> list[str]:
        """The commits after `older` up to `newer`, newest first, as `sha subject`.

        Deployment commits are left out.
        """
        no_deployments = ("--invert-grep", "--grep=^deploy(")
        log = self.git("log", "--format=%h %s", *no_deployments, f"{older}..{newer}")
        return log.splitlines()

    def subject(self, commit: str) -> str:
        """The subject of a commit, or nothing if the clone does not have it."""
        return self._run(("log", "-1", "--format=%s", commit), None, {}).stdout.strip()

    def changed_files(self, old: str, new: str) -> list[str]:
        """The paths of the files that differ between two commits."""
        return self.git("diff", "--name-only", "--no-renames", "-z", old, new).split("\0")[:-1]

    def differences(self, old: str, new: str, *paths: str) -> list[str]:
        """The files that differ between two commits, as the lines of `git diff --stat`."""
        diff = self.git("diff", "--stat=100", "--no-color", "--no-renames", old, new, "--", *paths)
        return [line.strip() for line in diff.splitlines()]

    def tree_with(self, commit: str, path: str, text: str) -> str:
        """The tree of the commit with another text in one file. No file on disk changes."""
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            self.git("read-tree", commit, **index)
            blob = self.git("hash-object", "-w", "--stdin", stdin=text).strip()
            self.git("update-index", "--cacheinfo", f"100644,{blob},{path}", **index)
            return self.git("write-tree", **index).strip()

    def commit(self, tree: str, parents: list[str], message: str) -> str:
        """Commit a tree, and return the SHA. No branch changes."""
        options = (option for parent in parents for option in ("-p", parent))
        return self.git("commit-tree", tree, *options, "-F", "-", stdin=message).strip()

    def push(self, branch: str, make_commit: Callable[[], str | None]) -> bool:
        """Push a commit to the remote's branch, and start again if another push came first.

        `make_commit` is called after each fetch, and returns None if no push is needed. It may
        return a commit that does not descend from the branch's tip, which is then replaced. Returns
        whether a commit was pushed: not if the tip differs from it in nothing but the date.
        """
        for attempt in range(MAX_PUSHES):
            self.fetch()
            tip = self.find(branch)
            new = make_commit()
            if new is None or (tip and self._content(tip) == self._content(new)):
                return False
            # The remote refuses the push if the branch is no longer what was fetched.
            lease = f"--force-with-lease=refs/heads/{branch}:{tip or ''}"
            arguments = ("push", "--quiet", lease, REMOTE, f"{new}:refs/heads/{branch}")
            push = self._run(arguments, None, {})
            if push.returncode == 0:
                self._fast_forward(branch, new)
                return True
            # When two pushes collide, git can reject one before the branch has moved. Without a
            # collision, an unchanged branch means that the remote does not accept the push.
            self.fetch()
            if not any(words in push.stderr for words in COLLISIONS) and self.find(branch) == tip:
                raise GitOpsError(f"git push: {push.stderr.strip()}")
            time.sleep(random.uniform(0, min(0.1 * 2**attempt, 3)))
        raise GitOpsError(
            f"gave up after {MAX_PUSHES} pushes, because other pushes to {branch} came first; "
            f"the last error: {push.stderr.strip()}"
        )

    def _content(self, commit: str) -> str:
        """All of a commit but its authors and dates."""
        return self.git("log", "-1", "--format=%T %P%n%B", commit)

    def _fast_forward(self, branch: str, commit: str) -> None:
        """If `main` was pushed and is checked out, fast-forward it where that is possible."""
        if branch == MAIN and self.git("branch", "--show-current").strip() == MAIN:
            self._run(("merge", "--quiet", "--ff-only", commit), None, {})
