"""Argo CD: its CRDs, its configuration, and its processes, which run beside the cluster."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.e2e.control_plane import apply, get, kubeconfig_for, kubectl
from tests.e2e.network import HOST
from tests.e2e.paths import PROGRAMS, RUN
from tests.e2e.processes import Failed, Process, print_progress, succeeds, wait_for
from tests.e2e.programs import source_directory

NAMESPACE = "argocd"
ADDRESS = f"http://{HOST}:8080"
REDIS, REPO_SERVER = "127.0.0.1:6379", "127.0.0.1:8081"
"""The addresses at which the components of Argo CD reach each other."""
COMPONENTS: dict[str, tuple[str, ...]] = {
    "repo-server": ("--address=127.0.0.1", "--port=8081", "--metrics-address=127.0.0.1"),
    "application-controller": (f"--repo-server={REPO_SERVER}", "--server-side-diff-enabled"),
    "applicationset-controller": (
        f"--argocd-repo-server={REPO_SERVER}",
        *("--metrics-addr=127.0.0.1:8085", "--probe-addr=127.0.0.1:8086"),
    ),
    "server": (
        *("--port=8080", f"--repo-server={REPO_SERVER}", f"--redis={REDIS}"),
        *("--disable-auth", "--insecure"),
    ),
}
"""The components of Argo CD that run, and their arguments."""


class State(NamedTuple):
    """The status of an Application; `operation` and `message` describe its last sync."""

    sync: str
    health: str
    revision: str
    operation: str
    message: str


def state(application: str) -> State:
    status = get("applications", application, NAMESPACE).get("status", {})
    operation = status.get("operationState", {})
    return State(
        status.get("sync", {}).get("status", "Missing"),
        status.get("health", {}).get("status", "Missing"),
        status.get("sync", {}).get("revision", ""),
        operation.get("phase", ""),
        operation.get("message", ""),
    )


def refresh(*applications: str) -> None:
    """Make Argo CD check Git now, as its webhook does, instead of within three minutes."""
    for application in applications:
        kubectl(
            *("annotate", "application", application, "-n", NAMESPACE, "--overwrite"),
            "argocd.argoproj.io/refresh=normal",
        )


def sync(application: str) -> None:
    """Sync an Application through Argo CD's API, as the *Sync* button does."""
    request = urllib.request.Request(
        f"{ADDRESS}/api/v1/applications/{application}/sync",
        data=b"{}",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        response.read()


def wait_until_synced(*applications: str, revision: str = "", seconds: float = 120) -> None:
    """Wait until each Application is Synced and Healthy, at the given revision if there is one."""

    def is_synced(found: State) -> bool:
        return (
            (found.sync, found.health) == ("Synced", "Healthy")
            and found.operation in ("Succeeded", "")
            and found.revision.startswith(revision)
        )

    def all_are_synced() -> bool:
        states = [state(application) for application in applications]
        return all(is_synced(found) for found in states)

    try:
        wait_for("the Applications are Synced and Healthy", all_are_synced, seconds)
    except Failed as error:
        lines = [f"{name}: {state(name)}" for name in applications]
        raise Failed("\n".join([str(error), *lines])) from None


@contextmanager
def running_argocd() -> Iterator[None]:
    """Run Argo CD at ADDRESS, without authentication."""
    _apply_manifests()
    folder = RUN / "argocd"
    environment = _prepare(folder)
    host, port = REDIS.split(":")
    with ExitStack() as stack:
        redis = ("redis-server", "--bind", host, "--port", port, "--save", "", "--dir", str(folder))
        started = [stack.enter_context(Process("redis", *redis))]
        for name, arguments in COMPONENTS.items():
            process = Process(
                f"argocd-{name}",
                PROGRAMS / "argocd",
                *arguments,
                ARGOCD_BINARY_NAME=f"argocd-{name}",
                **environment,
            )
            started.append(stack.enter_context(process))
        started[-1].wait_until("the API of Argo CD answers", _answers)
        for process in started:
            process.check_running()
        print_progress("Argo CD is ready")
        yield


def _apply_manifests() -> None:
    """Apply Argo CD's namespace, CRDs and configuration."""
    manifests = source_directory("argocd") / "manifests"
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    kubectl("apply", "--server-side", "--kustomize", f"{manifests}/crds")
    kinds = "applications,applicationsets,appprojects"
    wait_for("the CRDs of Argo CD are established", lambda: succeeds(kubectl, "get", kinds))
    kubectl("apply", "-n", NAMESPACE, "--kustomize", f"{manifests}/base/config")


def _prepare(folder: Path) -> dict[str, str]:
    """Create the files that Argo CD needs. Returns the environment variables that name them."""
    for name in ("tls", "ssh", "plugins", "gpg/keys", "gpg/source", "tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "ssh/ssh_known_hosts").touch()
    (folder / "kubeconfig").write_text(kubeconfig_for(NAMESPACE))
    return {
        "KUBECONFIG": str(folder / "kubeconfig"),
        "PATH": f"{PROGRAMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TMPDIR": str(folder / "tmp"),
        "HOSTNAME": "application-controller-0",
        "REDIS_SERVER": REDIS,
        "ARGOCD_NAMESPACE": NAMESPACE,
        # Argo CD then uses the kubeconfig for the address https://kubernetes.default.svc.
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_TLS_DATA_PATH": str(folder / "tls"),
        "ARGOCD_SSH_DATA_PATH": str(folder / "ssh"),
        "ARGOCD_PLUGINSOCKFILEPATH": str(folder / "plugins"),
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_GNUPGHOME": str(folder / "gpg/keys"),
        "ARGOCD_GPG_DATA_PATH": str(folder / "gpg/source"),
    }


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"{ADDRESS}/api/version", timeout=1) as response:
            return "Version" in json.load(response)
    except OSError:
        return False
