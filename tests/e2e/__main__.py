"""The command line behind make e2e, make cluster and make cluster-down."""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from tests.e2e import network, programs, releases
from tests.e2e.argocd import ADDRESS, wait_until_synced
from tests.e2e.cluster import answer_for_the_load_balancer, cluster
from tests.e2e.paths import (
    BUILT,
    CERTIFICATE,
    HOME,
    KUBECONFIG,
    LOGS,
    PROGRAMS,
    RELEASES,
    REMOTE,
    ROOT,
    RUN,
)
from tests.e2e.processes import Failed, say
from tests.cluster import make_certificate
from tests.service import alive, wait_for_end

BOX = HOME / "box.pid"
READY = RUN / "ready"
GUIDE = """
  kubectl      export KUBECONFIG={kubeconfig}
  Argo CD      {argocd}/api/v1/applications
               {argocd_program} app list --plaintext --server {argocd_server}
  the service  curl {service}/health
  repository   git clone {repository}
  releases     {releases}
  logs         {logs}
  end it       make cluster-down
"""
NEEDED = {
    "containerd": "containerd",
    "runc": "runc",
    "dockerd": "docker.io",
    "redis-server": "redis-server",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""What the cluster runs on, and Debian's package that has it."""
ALSO_NEEDED = {
    "go": "Go 1.25 or newer",
    "kubectl": "kubectl 1.34",
    "terraform": "Terraform 1.11 or newer",
}


def check() -> None:
    """Raises Failed with everything that is missing."""
    missing = [
        f"{name} is missing: install {of}" for name, of in ALSO_NEEDED.items() if lacks(name)
    ]
    packages = sorted(package for name, package in NEEDED.items() if lacks(name))
    if packages:
        missing.append(f"apt-get install {' '.join(packages)}")
    if sys.platform != "linux" or os.geteuid() != 0:
        missing.append("a cluster needs Linux, and root: it makes namespaces and mounts")
    if missing:
        raise Failed("\n".join(missing))


def lacks(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None


def running() -> int | None:
    """The first process of a cluster that is up."""
    with contextlib.suppress(OSError, ValueError):
        process = int(BOX.read_text())
        if alive(process) and b"unshare" in Path(f"/proc/{process}/cmdline").read_bytes():
            return process
    return None


def prepare() -> None:
    """What there has to be before a cluster can start. Its releases are made meanwhile, outside of
    it, for it has no way to the package registries."""
    check()
    if (process := running()) is not None:
        raise Failed(f"a cluster is up already (process {process}): make cluster-down ends it")
    clean()
    for folder in (BUILT, PROGRAMS, LOGS):
        folder.mkdir(parents=True, exist_ok=True)
    programs.build()
    if not CERTIFICATE.is_file():
        make_certificate(CERTIFICATE, network.HOST, network.OTHER_HOST, days=3650)


def start(*command: str, output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Run a command in namespaces of its own: whatever happens, nothing in them outlives it.

    With a file for its output it stays when this process ends, and otherwise it does not.
    """
    namespaces = ("--net", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child")
    stays = output is not None
    box = subprocess.Popen(
        [
            *(() if stays else ("setpriv", "--pdeathsig=KILL")),
            *("unshare", *namespaces, *command),
        ],
        cwd=ROOT,
        stdin=subprocess.DEVNULL if stays else None,
        stdout=output,
        stderr=output,
        start_new_session=stays,
    )
    BOX.write_text(str(box.pid))
    return box


def clean() -> None:
    """Remove what the last cluster left."""
    BOX.unlink(missing_ok=True)
    remove_control_groups()
    deadline = time.monotonic() + 10
    while RUN.exists():
        shutil.rmtree(RUN, ignore_errors=time.monotonic() < deadline)


def remove_control_groups() -> None:
    """Remove what is in no namespace: the groups of pods' and builds' processes, which ended."""
    deadline = time.monotonic() + 2
    while groups := [
        group
        for name in ("k8s.io", "docker", "*/k8s.io", "*/docker")
        for folder in Path("/sys/fs/cgroup").glob(name)
        for group in (*sorted(folder.rglob("*/"), reverse=True), folder)
    ]:
        for group in groups:
            with contextlib.suppress(OSError):
                group.rmdir()
        if time.monotonic() > deadline:
            return  # those of others
        time.sleep(0.1)


def test(arguments: list[str]) -> int:
    """Prove it all; the exit code is pytest's."""
    prepare()
    options = ("-s", "--tb=short", "-o", "addopts=", "-o", "timeout=600")
    box = start(sys.executable, "-m", "pytest", "tests/e2e", *options, *arguments)
    try:
        releases.prepare()
        return box.wait()
    finally:
        box.kill()
        if box.wait() == 0:
            clean()
        else:
            remove_control_groups()
            say(f"logs of all that ran: {LOGS}")


def up() -> int:
    """Start a cluster that stays, and say where everything is."""
    prepare()
    log = LOGS / "cluster.log"
    with log.open("wb") as output:
        box = start(sys.executable, "-m", "tests.e2e", "hold", output=output)
    try:
        releases.prepare()
        with log.open() as progress:
            while not READY.exists():
                sys.stderr.write(progress.read())
                if box.poll() is not None:
                    raise Failed(f"the cluster has ended; its logs: {LOGS}")
                time.sleep(0.5)
            sys.stderr.write(progress.read())
        inside = Path(f"/proc/{box.pid}/task/{box.pid}/children").read_text().split()[0]
        network.connect(int(inside))
    except BaseException:
        box.kill()
        box.wait()
        raise
    print(READY.read_text())
    return 0


def hold() -> int:
    """Be the cluster, as the first process in its namespaces, until somebody ends it."""
    network.enter()
    with cluster() as playing:
        answer_for_the_load_balancer()
        wait_until_synced("root", playing.application, seconds=300)
        text = GUIDE.format(
            kubeconfig=KUBECONFIG,
            argocd=ADDRESS,
            service=playing.address,
            argocd_server=ADDRESS.removeprefix("http://"),
            repository=REMOTE,
            releases=RELEASES,
            argocd_program=PROGRAMS / "argocd",
            logs=LOGS,
        )
        READY.write_text(text)
        signal.pause()
    return 0


def down() -> int:
    """End it, and remove all but what was built."""
    process = running()
    if process is not None:
        os.kill(process, signal.SIGKILL)
        if not wait_for_end(process):
            raise Failed(f"process {process} does not end")
    clean()
    say("no cluster is up" if process is None else "the cluster has ended")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e", description=__doc__)
    names = ("test", "up", "down", "hold")
    parser.add_argument("command", choices=names, help="hold is what up starts")
    for number in (signal.SIGINT, signal.SIGTERM):  # what was begun is ended
        signal.signal(number, signal.default_int_handler)
    command, arguments = parser.parse_known_args()
    try:
        if command.command == "test":
            return test(arguments)
        return {"up": up, "down": down, "hold": hold}[command.command]()
    except Failed as error:
        print(f"e2e: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
