"""A bare git remote that contains this repository's overlays, and clones of that remote."""

import os
import subprocess
import sys
from pathlib import Path

from gitops import overlay

ROOT = Path(__file__).resolve().parents[2]

IDENTITY = {
    name: value
    for role in ("AUTHOR", "COMMITTER")
    for name, value in {f"GIT_{role}_NAME": "ada", f"GIT_{role}_EMAIL": "ada@example.com"}.items()
}


def git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        ("git", *arguments),
        cwd=folder,
        env={**os.environ, **IDENTITY},
        text=True,
        capture_output=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


class Remote:
    """A bare repository. Every overlay on its `main` has the tag `first_build`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bare = folder / "remote.git"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        self.seed = self.clone("seed")
        self.first_build = self.commit("feat: the first build", "src/app.py", "1")
        for environment in overlay.ENVIRONMENTS:
            path = overlay.path(environment)
            text = overlay.with_tag((ROOT / path).read_text(), self.first_build)
            self.write(path, text)
        git(self.seed, "add", ".")
        git(self.seed, "commit", "--quiet", "--message=chore: the overlays")
        git(self.seed, "push", "--quiet", "origin", "HEAD:main")

    def clone(self, name: str) -> Path:
        git(self.folder, "clone", "--quiet", str(self.bare), name)
        git(self.folder / name, "symbolic-ref", "HEAD", "refs/heads/main")
        return self.folder / name

    def write(self, path: str, text: str) -> None:
        file = self.seed / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self, message: str, path: str, text: str) -> str:
        """Push a commit to `main` that writes one file, and return its SHA."""
        if git(self.bare, "branch", "--list", "main"):
            git(self.seed, "pull", "--quiet", "--rebase", "origin", "main")
        self.write(path, text)
        git(self.seed, "add", ".")
        git(self.seed, "commit", "--quiet", f"--message={message}")
        git(self.seed, "push", "--quiet", "origin", "HEAD:main")
        return git(self.seed, "rev-parse", "HEAD")

    def tag(self, environment: str, branch: str = "main") -> str:
        text = git(self.bare, "show", f"{branch}:{overlay.path(environment)}")
        return overlay.tag_in(text + "\n")

    def log(self, branch: str = "main") -> list[str]:
        """The commits' subjects, newest first."""
        return git(self.bare, "log", "--format=%s", branch).splitlines()

    def branches(self) -> str:
        """Every branch and its commit."""
        return git(self.bare, "for-each-ref")


def start(clone: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a gitops command in a clone."""
    return subprocess.Popen(
        (sys.executable, "-m", "gitops", *arguments),
        cwd=clone,
        env={**os.environ, **IDENTITY, "PYTHONPATH": str(ROOT / "src"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(clone: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a gitops command in a clone. Returns its exit code, stdout and stderr."""
    process = start(clone, *arguments, **environment)
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors
