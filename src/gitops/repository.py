"""A git clone that commits on top of its remote's branches without using its working tree."""

import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gitops.errors import GitOpsError

REMOTE = "origin"
MAIN = "main"

MAX_PUSHES = 50
"""How often to try a push to `main`. Each failed try means that another push succeeded."""

COLLISIONS = ("cannot lock ref", "failed to update ref", "Unable to create")
"""Parts of git's error messages for two pushes that reach the remote at the same time."""


class Change(NamedTuple):
    """The new text of one file, and the commit message."""

    path: str
    text: str
    message: str


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
            capture_output=True,
        )

    def check_clean(self) -> None:
        """Raise GitOpsError if there are uncommitted changes to tracked files."""
        changes = self.git("status", "--porcelain", "--untracked-files=no")
        if changes:
            raise GitOpsError(
                f"the working tree has changes; commit or stash them:\n{changes.rstrip()}"
            )

    def fetch(self) -> str:
        """Fetch the remote's `main` and return its current commit."""
        self.git("fetch", "--quiet", REMOTE, f"+refs/heads/{MAIN}:refs/remotes/{REMOTE}/{MAIN}")
        return self.git("rev-parse", f"{REMOTE}/{MAIN}").strip()

    def read(self, commit: str, path: str) -> str:
        """The text of a file at a commit."""
        return self.git("show", f"{commit}:{path}")

    def has_commit(self, commit: str) -> bool:
        """Whether the clone has this commit."""
        return self._run(("cat-file", "-e", f"{commit}^{{commit}}"), None, {}).returncode == 0

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `older` is an ancestor of `newer`. A commit is its own ancestor."""
        return self._run(("merge-base", "--is-ancestor", older, newer), None, {}).returncode == 0

    def commits_between(self, older: str, newer: str) -> list[str]:
        """The commits after `older` up to `newer`, newest first, as `sha subject`.

        Deployment commits are left out.
        """
        no_deployments = ("--invert-grep", "--grep=^deploy(")
        log = self.git("log", "--format=%h %s", *no_deployments, f"{older}..{newer}")
        return log.splitlines()

    def commit(self, parent: str, change: Change) -> str:
        """Commit the change on top of `parent`, and return the SHA.

        No branch and no file in the working tree changes.
        """
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            self.git("read-tree", parent, **index)
            blob = self.git("hash-object", "-w", "--stdin", stdin=change.text).strip()
            self.git("update-index", "--cacheinfo", f"100644,{blob},{change.path}", **index)
            tree = self.git("write-tree", **index).strip()
        commit = self.git("commit-tree", tree, "-p", parent, "-F", "-", stdin=change.message)
        return commit.strip()

    def change_main(self, make_change: Callable[[str], Change | None]) -> bool:
        """Push a commit to the remote's `main`, and retry if another push came first.

        `make_change` receives the current commit of `main`, and is called again before each retry.
        It returns None if no change is needed. Returns whether a commit was pushed.
        """
        for attempt in range(MAX_PUSHES):
            tip = self.fetch()
            change = make_change(tip)
            if change is None:
                return False
            new = self.commit(tip, change)
            push = self._run(("push", "--quiet", REMOTE, f"{new}:refs/heads/{MAIN}"), None, {})
            if push.returncode == 0:
                self._fast_forward(new)
                return True
            # When two pushes collide, git can reject one before `main` has moved. Without a
            # collision, an unchanged `main` means that the remote does not accept the push.
            if not any(words in push.stderr for words in COLLISIONS) and self.fetch() == tip:
                raise GitOpsError(f"git push: {push.stderr.strip()}")
            time.sleep(random.uniform(0, min(0.1 * 2**attempt, 3)))
        raise GitOpsError(
            f"gave up after {MAX_PUSHES} pushes, because other pushes to {MAIN} came first; "
            f"the last error: {push.stderr.strip()}"
        )

    def push_branch(self, branch: str, commit: str) -> None:
        """Force-push the commit to `branch`, a branch that only these commands push to."""
        self.git("push", "--quiet", "--force", REMOTE, f"{commit}:refs/heads/{branch}")

    def _fast_forward(self, commit: str) -> None:
        """If `main` is checked out, fast-forward it to this commit where that is possible."""
        if self.git("branch", "--show-current").strip() == MAIN:
            self._run(("merge", "--quiet", "--ff-only", commit), None, {})
