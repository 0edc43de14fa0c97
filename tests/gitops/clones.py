"""A bare remote with this repository's overlays, and clones of it."""

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
    done = subprocess.run(
        ("git", *arguments),
        cwd=folder,
        env={**os.environ, **IDENTITY},
        text=True,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Remote:
    """A bare repository whose `main` has a commit for each build that there could be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bare = folder / "remote.git"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        self.seed = self.clone("seed")
        self.first = self.commit("feat: the first build", "src/app.py", "1")
        for environment in overlay.ENVIRONMENTS:
            path = overlay.path(environment)
            text = overlay.with_tag((ROOT / path).read_text(), self.first)
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
        """A commit on `main`, pushed; its sha."""
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
        return git(self.bare, "log", "--format=%s", branch).splitlines()

    def state(self) -> str:
        """Every branch and where it is."""
        return git(self.bare, "for-each-ref")


def start(clone: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """The command, begun in a clone."""
    return subprocess.Popen(
        (sys.executable, "-m", "gitops", *arguments),
        cwd=clone,
        env={**os.environ, **IDENTITY, "PYTHONPATH": str(ROOT / "src"), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(clone: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """The command's exit code, standard output and standard error."""
    process = start(clone, *arguments, **environment)
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors
