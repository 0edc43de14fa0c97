"""A git clone whose commits are made on top of what its remote holds, without its working tree."""

import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gitops.errors import Refused

REMOTE = "origin"
MAIN = "main"

ATTEMPTS = 50
"""How many lost races end a push; each means that somebody else's push went through."""


AT_ONCE = ("cannot lock ref", "failed to update ref", "Unable to create")
"""What git says when two pushes meet at the remote."""


class Change(NamedTuple):
    """One file's new text, and the commit's message."""

    path: str
    text: str
    message: str


class Repository:
    """The clone at `root`. Every method raises Refused with git's own words when git fails."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *arguments: str, stdin: str | None = None, **environment: str) -> str:
        """What the command prints."""
        done = self._run(arguments, stdin, environment)
        if done.returncode != 0:
            raise Refused(f"git {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

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
        """Raises Refused while there are changes that no commit holds."""
        changes = self.git("status", "--porcelain", "--untracked-files=no")
        if changes:
            raise Refused(
                f"the working tree has changes; commit or stash them:\n{changes.rstrip()}"
            )

    def fetch(self) -> str:
        """The commit at which the remote's `main` is now."""
        self.git("fetch", "--quiet", REMOTE, f"+refs/heads/{MAIN}:refs/remotes/{REMOTE}/{MAIN}")
        return self.git("rev-parse", f"{REMOTE}/{MAIN}").strip()

    def read(self, commit: str, path: str) -> str:
        """The file's text in a commit."""
        return self.git("show", f"{commit}:{path}")

    def knows(self, commit: str) -> bool:
        """Whether the clone holds this commit."""
        return self._run(("cat-file", "-e", f"{commit}^{{commit}}"), None, {}).returncode == 0

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` came out of `older`; a commit is its own ancestor."""
        return self._run(("merge-base", "--is-ancestor", older, newer), None, {}).returncode == 0

    def commits_between(self, older: str, newer: str) -> list[str]:
        """`sha subject` of each commit that `newer` has and `older` has not, newest first."""
        deployments = ("--invert-grep", "--grep=^deploy(")
        log = self.git("log", "--format=%h %s", *deployments, f"{older}..{newer}")
        return log.splitlines()

    def commit(self, parent: str, change: Change) -> str:
        """A commit on top of `parent` with one file changed; no branch and no file is touched."""
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            self.git("read-tree", parent, **index)
            blob = self.git("hash-object", "-w", "--stdin", stdin=change.text).strip()
            self.git("update-index", "--cacheinfo", f"100644,{blob},{change.path}", **index)
            tree = self.git("write-tree", **index).strip()
        commit = self.git("commit-tree", tree, "-p", parent, "-F", "-", stdin=change.message)
        return commit.strip()

    def change_main(self, changed: Callable[[str], Change | None]) -> bool:
        """Push a commit onto the remote's `main`, however many others do the same.

        `changed` is asked for the change with the commit that `main` is at, and asked anew after
        each lost race. None ends it: nothing is left to change, and the answer is False.
        """
        for attempt in range(ATTEMPTS):
            tip = self.fetch()
            change = changed(tip)
            if change is None:
                return False
            new = self.commit(tip, change)
            push = self._run(("push", "--quiet", REMOTE, f"{new}:refs/heads/{MAIN}"), None, {})
            if push.returncode == 0:
                self._follow(new)
                return True
            # Of two pushes at the very same time one is told so before the branch has moved.
            if not any(words in push.stderr for words in AT_ONCE) and self.fetch() == tip:
                raise Refused(f"git push: {push.stderr.strip()}")
            time.sleep(random.uniform(0, min(0.1 * 2**attempt, 3)))
        raise Refused(f"{MAIN} moved under {ATTEMPTS} pushes; the last one: {push.stderr.strip()}")

    def push_branch(self, branch: str, commit: str) -> None:
        """Make the remote's `branch`, which is nobody's but these commands', this commit."""
        self.git("push", "--quiet", "--force", REMOTE, f"{commit}:refs/heads/{branch}")

    def _follow(self, commit: str) -> None:
        """Bring the checkout along, where that is no more than going forward."""
        if self.git("branch", "--show-current").strip() == MAIN:
            self._run(("merge", "--quiet", "--ff-only", commit), None, {})
