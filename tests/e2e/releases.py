"""What the tests deploy: commits on top of the one that is checked out, and an image of each.

Their dates are fixed, and so are their shas: a second run finds the images built.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import certificate_of
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
from tests.e2e.processes import Failed, Process, run, say, succeeds

REGISTRY = "111111111111.dkr.ecr.eu-central-1.amazonaws.com"
"""An address that nothing answers at: a node of this cluster has every image already."""

SOURCE = Path("src/game_api/__init__.py")
NEXT, CRASHING, WITHOUT_INDEXES = "next", "crashing", "without-indexes"
CHANGES = {
    NEXT: "",
    CRASHING: 'import sys\n\nif len(sys.argv) == 1:\n    sys.exit("serving is broken")\n',
    WITHOUT_INDEXES: 'import sys\n\nif len(sys.argv) > 1:\n    sys.exit("no index")\n',
}
"""What is wrong with each of the releases that follow the one that is checked out."""

BASE, PAUSE = "game-api-e2e/python:2", "game-api-e2e/pause:2"
SOCKET = f"unix://{HOME}/docker.sock"


def git(*arguments: str, folder: Path = CHECKOUT) -> str:
    return run("git", *arguments, folder=folder).strip()


def prepare() -> None:
    """Make the repository that Argo CD will sync, and an image of each release."""
    git("clone", "--quiet", "--bare", str(ROOT), str(REMOTE), folder=RUN)
    head = git("rev-parse", "HEAD", folder=ROOT)
    if git("rev-parse", "--is-shallow-repository", folder=ROOT) == "true":
        raise Failed(
            "this clone is shallow, and promotion needs its history: git fetch --unshallow"
        )
    if git("status", "--porcelain", "--untracked-files=no", folder=ROOT):
        say("what is not committed is left out: the cluster gets the last commit")
    git("update-ref", "refs/heads/main", head, folder=REMOTE)
    git("symbolic-ref", "HEAD", "refs/heads/main", folder=REMOTE)
    git("clone", "--quiet", str(REMOTE), str(CHECKOUT), folder=RUN)
    git("config", "user.name", "e2e")
    git("config", "user.email", "e2e@example.com")
    shas = {"current": head}
    good = (CHECKOUT / SOURCE).read_text()
    for number, (name, change) in enumerate(CHANGES.items(), 1):
        (CHECKOUT / SOURCE).write_text(f"{good}\n# release {name}\n{change}")
        date = f"@{int(git('log', '-1', '--format=%ct', head)) + number} +0000"
        message = f"--message=feat: the release {name}"
        run(
            *("git", "commit", "--quiet", "--all", message),
            folder=CHECKOUT,
            GIT_AUTHOR_DATE=date,
            GIT_COMMITTER_DATE=date,
        )
        shas[name] = git("rev-parse", "HEAD")
    git("push", "--quiet", "origin", "main")
    run("make", "-C", CHECKOUT, "bump", "ENV=dev", f"TAG={head}")
    with docker_engine():
        _build_base()
        for name, sha in shas.items():
            _build(name, sha)
        images = (PAUSE, *map(image, shas.values()))
        docker("save", "-o", IMAGES, *images)
        _forget_all_but(images)
    # Last, and at once: the cluster waits for it.
    written = RELEASES.with_suffix(".new")
    written.write_text(json.dumps(shas))
    written.rename(RELEASES)


def image(sha: str) -> str:
    return f"{REGISTRY}/game-api:{sha}"


@contextmanager
def docker_engine() -> Iterator[None]:
    """A Docker engine of our own, so that one that runs already is left in peace."""
    engine = Process(
        "dockerd",
        # Gone, with its mounts, should this process be killed.
        *("setpriv", "--pdeathsig=TERM", "unshare", "--mount", "dockerd"),
        *("--data-root", BUILT / "docker", "--exec-root", RUN / "docker"),
        *("--host", SOCKET, "--pidfile", RUN / "dockerd.pid", "--bridge=none", "--iptables=false"),
    )
    try:
        engine.start().wait_until("the Docker engine is up", lambda: succeeds(docker, "info"))
        yield
    finally:
        engine.stop()


def docker(*arguments: str | Path, stdin: str | None = None) -> str:
    return run("docker", *arguments, stdin=stdin, DOCKER_HOST=SOCKET, DOCKER_BUILDKIT="0")


def _build_base() -> None:
    """A base image of Debian's own packages, for machines that can't pull one."""
    if docker("images", "--quiet", BASE):
        return
    say("building the base image; about a minute")
    rootfs, archive = BUILT / "rootfs", BUILT / "rootfs.tar"
    shutil.rmtree(rootfs, ignore_errors=True)
    packages = "python3,python3-venv,ca-certificates"
    run("debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", str(rootfs))
    # The machine's authorities, for pip while it builds.
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    shutil.copy(bundle, rootfs / bundle.relative_to("/"))
    left_out = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale")
    excluded = [f"--exclude=./{folder}/*" for folder in left_out]
    run("tar", "-C", str(rootfs), *excluded, "-cf", str(archive), ".")
    docker("import", "--change", f"ENV PIP_CERT={bundle}", archive, BASE)
    shutil.rmtree(rootfs)
    archive.unlink()
    # What holds a pod's namespaces, and does nothing.
    pause = f'FROM {BASE}\nUSER 65535:65535\nENTRYPOINT ["sleep", "infinity"]\n'
    docker("build", "--tag", PAUSE, "-", stdin=pause)


def _build(name: str, sha: str) -> None:
    """The release's image, by its own Dockerfile, with our authority in place of Amazon's."""
    if docker("images", "--quiet", image(sha)):
        return
    say(f"building the image of the release {name}, {sha[:12]}")
    context = RUN / "context"
    shutil.rmtree(context, ignore_errors=True)
    git("worktree", "add", "--quiet", "--detach", str(context), sha)
    (context / "certificates/e2e.pem").write_bytes(certificate_of(CERTIFICATE))
    arguments = {"PYTHON_IMAGE": BASE, "CA_BUNDLE": "certificates/e2e.pem", "COMMIT": sha}
    try:
        docker(
            *("build", "--network=host", "--tag", image(sha)),
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            str(context),
        )
    finally:
        git("worktree", "remove", "--force", str(context))


def _forget_all_but(images: tuple[str, ...]) -> None:
    """Remove the images of earlier runs."""
    names = docker("images", "--format={{.Repository}}:{{.Tag}}", f"{REGISTRY}/game-api").split()
    if old := set(names) - set(images):
        docker("rmi", *old)
