"""The repository on a git server, from which Argo CD reads it, and a stand-in for GitHub's API."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.network import HOST
from tests.e2e.paths import REPOSITORIES
from tests.e2e.processes import Process, run, succeeds
from tests.e2e.releases import REPOSITORY
from tests.github import GitHub

REPOSITORY_URL = f"git://{HOST}/{REPOSITORY}.git"
GITHUB_PORT = 8091


@contextmanager
def running_repository() -> Iterator[GitHub]:
    """Serve the repository at REPOSITORY_URL, and GitHub's API on HOST."""
    server = Process(
        "git-daemon",
        *("git", "daemon", "--reuseaddr", f"--listen={HOST}", "--export-all"),
        f"--base-path={REPOSITORIES}",
    )
    with server, GitHub(HOST, GITHUB_PORT) as github:
        server.wait_until(
            "the git server answers", lambda: succeeds(run, "git", "ls-remote", REPOSITORY_URL)
        )
        yield github
