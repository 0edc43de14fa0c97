"""The releases that the tests deploy: commits on top of the checked-out one, and their images.

The commit dates are fixed, so the SHAs are the same in each run and the images are built once.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.database.documentdb_cluster import certificate_of
from tests.e2e.paths import (
    BUILT,
    CERTIFICATE,
    CHECKOUT,
    HOME,
    IMAGES,
    RELEASES,
    REMOTE,
    ROOT,
    RUN,
)
from tests.e2e.processes import Failed, Process, print_progress, run, succeeds

REGISTRY = "111111111111.dkr.ecr.eu-central-1.amazonaws.com"
"""A registry that does not exist. The images are imported into the node instead."""

REPOSITORY = "game-studio/game-api"
GITHUB_URL = f"git@github.com:{REPOSITORY}.git"

SOURCE = Path("src/game_api/__init__.py")
NEXT, CRASHING, WITHOUT_INDEXES = "next", "crashing", "without-indexes"
CHANGES = {
    NEXT: "",
    CRASHING: 'import sys\n\nif len(sys.argv) == 1:\n    sys.exit("serving is broken")\n',
    WITHOUT_INDEXES: 'import sys\n\nif len(sys.argv) > 1:\n    sys.exit("no index")\n',
}
"""The code that each release adds to SOURCE to break itself. The release `next` works."""

BASE_IMAGE, PAUSE_IMAGE = "game-api-e2e/python:2", "game-api-e2e/pause:2"
DOCKER_SOCKET = f"unix://{HOME}/docker.sock"


def git(*arguments: str, folder: Path = CHECKOUT) -> str:
    return run("git", *arguments, folder=folder).strip()


def build_releases() -> None:
    """Create the repository that Argo CD syncs, and the image of each release."""
    head = _clone_repository()
    shas = {"current": head} | _commit_changes(head)
    git("push", "--quiet", "origin", "main")
    run("make", "-C", CHECKOUT, "bump", "ENV=dev", f"TAG={head}")
    git("push", "--quiet", "origin", "main:env/staging", "main:env/prod")
    with docker_engine():
        _build_base_images()
        for name, sha in shas.items():
            _build_image(name, sha)
        images = (PAUSE_IMAGE, *map(image_name, shas.values()))
        docker("save", "-o", IMAGES, *images)
        _remove_old_images(images)
    # The cluster waits for this file, so it is written last, and atomically.
    temporary = RELEASES.with_suffix(".new")
    temporary.write_text(json.dumps(shas))
    temporary.rename(RELEASES)


def _clone_repository() -> str:
    """Create REMOTE from the last commit and CHECKOUT from REMOTE. Returns the commit's SHA."""
    REMOTE.parent.mkdir(parents=True)
    git("clone", "--quiet", "--bare", str(ROOT), str(REMOTE), folder=RUN)
    head = git("rev-parse", "HEAD", folder=ROOT)
    if git("rev-parse", "--is-shallow-repository", folder=ROOT) == "true":
        raise Failed(
            "this clone is shallow, but promotion needs its history: run git fetch --unshallow"
        )
    if git("status", "--porcelain", "--untracked-files=no", folder=ROOT):
        print_progress("the cluster uses the last commit, without your uncommitted changes")
    git("update-ref", "refs/heads/main", head, folder=REMOTE)
    git("symbolic-ref", "HEAD", "refs/heads/main", folder=REMOTE)
    git("clone", "--quiet", str(REMOTE), str(CHECKOUT), folder=RUN)
    git("config", "user.name", "e2e")
    git("config", "user.email", "e2e@example.com")
    # The URL that the repository would have on GitHub. Git uses the folder in its place.
    git("config", f"url.{REMOTE}.insteadOf", GITHUB_URL)
    git("remote", "set-url", "origin", GITHUB_URL)
    return head


def _commit_changes(head: str) -> dict[str, str]:
    """Commit each of CHANGES on top of `head`. Returns the SHA of each release."""
    shas = {}
    original = (CHECKOUT / SOURCE).read_text()
    for number, (name, change) in enumerate(CHANGES.items(), 1):
        (CHECKOUT / SOURCE).write_text(f"{original}\n# release {name}\n{change}")
        date = f"@{int(git('log', '-1', '--format=%ct', head)) + number} +0000"
        message = f"--message=feat: release {name}"
        run(
            *("git", "commit", "--quiet", "--all", message),
            folder=CHECKOUT,
            GIT_AUTHOR_DATE=date,
            GIT_COMMITTER_DATE=date,
        )
        shas[name] = git("rev-parse", "HEAD")
    return shas


def image_name(sha: str) -> str:
    return f"{REGISTRY}/game-api:{sha}"


@contextmanager
def docker_engine() -> Iterator[None]:
    """Run a separate Docker engine, so that an engine of the machine is not affected."""
    engine = Process(
        "dockerd",
        # The engine and its mounts disappear if this process is killed.
        *("setpriv", "--pdeathsig=TERM", "unshare", "--mount", "dockerd"),
        *("--data-root", BUILT / "docker", "--exec-root", RUN / "docker"),
        *("--host", DOCKER_SOCKET, "--pidfile", RUN / "dockerd.pid"),
        *("--bridge=none", "--iptables=false"),
    )
    try:
        engine.start().wait_until("the Docker engine is up", lambda: succeeds(docker, "info"))
        yield
    finally:
        engine.stop()


def docker(*arguments: str | Path, stdin: str | None = None) -> str:
    return run("docker", *arguments, stdin=stdin, DOCKER_HOST=DOCKER_SOCKET, DOCKER_BUILDKIT="0")


def _build_base_images() -> None:
    """Build the base image from Debian packages, because it cannot be pulled on every machine.

    The pause image is built from it.
    """
    if docker("images", "--quiet", BASE_IMAGE):
        return
    print_progress("building the base image; about a minute")
    rootfs, archive = BUILT / "rootfs", BUILT / "rootfs.tar"
    shutil.rmtree(rootfs, ignore_errors=True)
    packages = "python3,python3-venv,ca-certificates"
    run("debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(rootfs))
    # pip trusts the certificate authorities of the machine while it builds.
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    shutil.copy(bundle, rootfs / bundle.relative_to("/"))
    left_out = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale")
    excluded = [f"--exclude=./{folder}/*" for folder in left_out]
    run("tar", "-C", str(rootfs), *excluded, "-cf", str(archive), ".")
    docker("import", "--change", f"ENV PIP_CERT={bundle}", archive, BASE_IMAGE)
    shutil.rmtree(rootfs)
    archive.unlink()
    # A pause container only keeps the namespaces of its pod open.
    pause = f'FROM {BASE_IMAGE}\nUSER 65535:65535\nENTRYPOINT ["sleep", "infinity"]\n'
    docker("build", "--tag", PAUSE_IMAGE, "-", stdin=pause)


def _build_image(name: str, sha: str) -> None:
    """Build a release's image with its own Dockerfile.

    It trusts the certificate authority of the tests instead of Amazon's.
    """
    if docker("images", "--quiet", image_name(sha)):
        return
    print_progress(f"building the image of release {name}, {sha[:12]}")
    context = RUN / "context"
    shutil.rmtree(context, ignore_errors=True)
    git("worktree", "add", "--quiet", "--detach", str(context), sha)
    (context / "certificates/e2e.pem").write_bytes(certificate_of(CERTIFICATE))
    arguments = {"PYTHON_IMAGE": BASE_IMAGE, "CA_BUNDLE": "certificates/e2e.pem", "COMMIT": sha}
    try:
        docker(
            *("build", "--network=host", "--tag", image_name(sha)),
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            str(context),
        )
    finally:
        git("worktree", "remove", "--force", str(context))


def _remove_old_images(images: tuple[str, ...]) -> None:
    """Remove the service's images of earlier runs."""
    names = docker("images", "--format={{.Repository}}:{{.Tag}}", f"{REGISTRY}/game-api").split()
    if old := set(names) - set(images):
        docker("rmi", *old)
