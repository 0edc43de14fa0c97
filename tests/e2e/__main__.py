"""The command line of `make e2e`, `make cluster` and `make cluster-down`."""

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

from tests.database.documentdb_cluster import make_certificate
from tests.e2e import network, programs
from tests.e2e.argocd import ADDRESS, wait_until_synced
from tests.e2e.cluster import running_cluster, set_ingress_address
from tests.e2e.oidc import SECRET, TOKEN_URL
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
from tests.e2e.processes import Failed, print_progress
from tests.e2e.releases import build_releases
from tests.service import alive, wait_for_end

PID_FILE = HOME / "cluster.pid"
READY_FILE = RUN / "ready"
"""Exists once the cluster is ready, and contains GUIDE with its addresses."""
GUIDE = """
  kubectl      export KUBECONFIG={kubeconfig}
  Argo CD      {argocd}, user admin; the password:
               kubectl -n argocd get secret argocd-initial-admin-secret \\
                 -o jsonpath='{{.data.password}}' | base64 -d
               {argocd_program} login {argocd_server} --insecure --username admin
  the service  curl {service}/health
  tokens       curl --cacert {certificate} -d grant_type=client_credentials -u {client} {token_url}
  repository   git clone {repository}
  releases     {releases}
  logs         {logs}
  stop it      make cluster-down
"""
DEBIAN_PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "dockerd": "docker.io",
    "redis-server": "redis-server",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "ipset": "ipset",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
"""The programs that the cluster needs, and the Debian package of each."""
OTHER_TOOLS = {
    "go": "Go 1.26 or newer",
    "kubectl": "kubectl 1.35 or newer",
    "terraform": "Terraform 1.11 or newer",
}


def check_requirements() -> None:
    """Raise Failed with a list of everything that is missing."""
    missing = [
        f"{name} is missing: install {tool}"
        for name, tool in OTHER_TOOLS.items()
        if is_missing(name)
    ]
    packages = sorted(package for name, package in DEBIAN_PACKAGES.items() if is_missing(name))
    if packages:
        missing.append(f"apt-get install {' '.join(packages)}")
    if sys.platform != "linux" or os.geteuid() != 0:
        missing.append("the cluster needs Linux and root, because it uses namespaces and mounts")
    if missing:
        raise Failed("\n".join(missing))


def is_missing(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None


def find_cluster() -> int | None:
    """Return the process id of the running cluster's first process, if there is a cluster."""
    with contextlib.suppress(OSError, ValueError):
        process = int(PID_FILE.read_text())
        if alive(process) and b"unshare" in Path(f"/proc/{process}/cmdline").read_bytes():
            return process
    return None


def prepare() -> None:
    """Prepare the machine for the start of a cluster.

    The releases are built later, while the cluster starts. That happens outside of its namespaces,
    which have no access to the package registries.
    """
    check_requirements()
    if (process := find_cluster()) is not None:
        raise Failed(
            f"a cluster is already running (process {process}): stop it with make cluster-down"
        )
    clean_up()
    for folder in (BUILT, PROGRAMS, LOGS):
        folder.mkdir(parents=True, exist_ok=True)
    programs.build()
    if not CERTIFICATE.is_file():
        hosts = (network.HOST, network.SECOND_DATABASE_HOST, network.PROVIDER)
        make_certificate(CERTIFICATE, *hosts, days=3650)


def start(*command: str, output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Run a command in new namespaces. All processes in them end together with the command.

    If an output file is given, the command continues to run after this process ends. Otherwise it
    is killed with this process.
    """
    namespaces = ("--net", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child")
    detached = output is not None
    process = subprocess.Popen(
        [
            *(() if detached else ("setpriv", "--pdeathsig=KILL")),
            *("unshare", *namespaces, *command),
        ],
        cwd=ROOT,
        stdin=subprocess.DEVNULL if detached else None,
        stdout=output,
        stderr=output,
        start_new_session=detached,
    )
    PID_FILE.write_text(str(process.pid))
    return process


def clean_up() -> None:
    """Remove the files and control groups of the last cluster."""
    PID_FILE.unlink(missing_ok=True)
    remove_control_groups()
    deadline = time.monotonic() + 10
    while RUN.exists():
        shutil.rmtree(RUN, ignore_errors=time.monotonic() < deadline)


def remove_control_groups() -> None:
    """Remove the control groups of pods and image builds, which do not end with the namespaces.

    Groups that are still in use after 2 seconds belong to other software, and are kept.
    """
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
            return
        time.sleep(0.1)


def test(arguments: list[str]) -> int:
    """Run the tests on a new cluster, and return pytest's exit code."""
    prepare()
    options = ("-s", "--tb=short", "-o", "addopts=", "-o", "timeout=600")
    process = start(sys.executable, "-m", "pytest", "tests/e2e", *options, *arguments)
    try:
        build_releases()
        return process.wait()
    finally:
        process.kill()
        if process.wait() == 0:
            clean_up()
        else:
            remove_control_groups()
            print_progress(f"the logs of all processes are in {LOGS}")


def up() -> int:
    """Start a cluster that keeps running, and print its addresses."""
    prepare()
    log = LOGS / "cluster.log"
    with log.open("wb") as output:
        process = start(sys.executable, "-m", "tests.e2e", "hold", output=output)
    try:
        build_releases()
        with log.open() as progress:
            while not READY_FILE.exists():
                sys.stderr.write(progress.read())
                if process.poll() is not None:
                    raise Failed(f"the cluster did not start; see the logs in {LOGS}")
                time.sleep(0.5)
            sys.stderr.write(progress.read())
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        network.connect(int(children[0]))
    except BaseException:
        process.kill()
        process.wait()
        raise
    print(READY_FILE.read_text())
    return 0


def hold() -> int:
    """Run the cluster, as the first process of its namespaces, until it is killed."""
    network.enter()
    with running_cluster() as cluster:
        set_ingress_address()
        wait_until_synced("root", cluster.application, seconds=300)
        text = GUIDE.format(
            kubeconfig=KUBECONFIG,
            argocd=ADDRESS,
            service=cluster.address,
            certificate=CERTIFICATE,
            client=f"admin-0:{SECRET}",
            token_url=TOKEN_URL,
            argocd_server=ADDRESS.removeprefix("https://"),
            repository=REMOTE,
            releases=RELEASES,
            argocd_program=PROGRAMS / "argocd",
            logs=LOGS,
        )
        READY_FILE.write_text(text)
        signal.pause()
    return 0


def down() -> int:
    """Stop the cluster, and remove everything except the built programs and images."""
    process = find_cluster()
    if process is not None:
        os.kill(process, signal.SIGKILL)
        if not wait_for_end(process):
            raise Failed(f"process {process} did not end after SIGKILL")
    clean_up()
    print_progress("no cluster is running" if process is None else "the cluster is stopped")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e", description=__doc__)
    names = ("test", "up", "down", "hold")
    parser.add_argument("command", choices=names, help="up starts hold in the background")
    for number in (signal.SIGINT, signal.SIGTERM):  # an exception, so that cleanup code runs
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
