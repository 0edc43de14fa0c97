"""A bare git remote that contains the manifests of the image's tag, and clones of that remote."""

import os
import subprocess
import sys
from pathlib import Path

from gitops import image, overlay

ROOT = Path(__file__).resolve().parents[2]

IDENTITY = {
    name: value
    for role in ("AUTHOR", "COMMITTER")
    for name, value in {f"GIT_{role}_NAME": "ada", f"GIT_{role}_EMAIL": "ada@example.com"}.items()
}

CREDENTIALS = ("GH_TOKEN", "GITHUB_TOKEN", "GITHUB_API_URL", "GITHUB_OUTPUT")


def git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(
        ("git", *arguments),
        cwd=folder,
        env={**os.environ, **IDENTITY},
        text=True,
        capture_output=True,
    )
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout.strip()


NAME = "game-studio/game-api"
URL = f"https://github.com/{NAME}.git"
"""The URL that the clones have. git uses the bare repository instead of it."""


class Remote:
    """A bare repository. Every environment runs the build `first_build`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bare = folder / "remote.git"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        self.seed = self.clone("seed")
        self.first_build = self.commit("feat: the first build", "src/app.py", "1")
        text = (ROOT / image.PATH).read_text()
        self.commit("chore: manifests", image.PATH, image.with_tag(text, self.first_build))
        for environment in overlay.ENVIRONMENTS[1:]:
            git(self.bare, "branch", overlay.branch(environment), "main")

    def clone(self, name: str) -> Path:
        instead = f"url.{self.bare}.insteadOf={URL}"
        git(self.folder, "clone", "--quiet", f"--config={instead}", URL, name)
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

    def merge(self, branch: str, base: str, method: str = "--no-ff") -> str:
        """Merge a branch as GitHub merges a pull request, and return the new tip of `base`."""
        worktree = self.folder / "merge"
        git(self.bare, "worktree", "add", "--quiet", str(worktree), base)
        try:
            git(worktree, "merge", "--quiet", method, "--no-edit", branch)
            if method == "--squash":
                git(worktree, "commit", "--quiet", f"--message={self.log(branch)[0]} (#1)")
            return git(worktree, "rev-parse", "HEAD")
        finally:
            git(self.bare, "worktree", "remove", "--force", str(worktree))

    def tag(self, environment: str, branch: str | None = None) -> str:
        name = branch or overlay.branch(environment)
        return image.tag_in(git(self.bare, "show", f"{name}:{image.PATH}") + "\n")

    def tree(self, name: str) -> str:
        return git(self.bare, "rev-parse", f"{name}^{{tree}}")

    def log(self, branch: str = "main") -> list[str]:
        """The commits' subjects, newest first."""
        return git(self.bare, "log", "--format=%s", branch).splitlines()

    def branches(self) -> str:
        """Every branch and its commit."""
        return git(self.bare, "for-each-ref")


def start(clone: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start a gitops command in a clone, without the credentials of whoever runs the tests."""
    return subprocess.Popen(
        (sys.executable, "-m", "gitops", *arguments),
        cwd=clone,
        env={
            **{name: value for name, value in os.environ.items() if name not in CREDENTIALS},
            **IDENTITY,
            "PYTHONPATH": str(ROOT / "src"),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(clone: Path, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Run a gitops command in a clone. Returns its exit code, stdout and stderr."""
    process = start(clone, *arguments, **environment)
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors
