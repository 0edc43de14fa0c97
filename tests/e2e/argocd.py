"""Argo CD: its definitions, its configuration, and its processes, which run on the host."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from tests.e2e.control_plane import apply, get, in_namespace, kubectl
from tests.e2e.paths import PROGRAMS, RUN
from tests.e2e.network import HOST
from tests.e2e.processes import Failed, Process, say, succeeds, wait_for
from tests.e2e.programs import sources

NAMESPACE = "argocd"
ADDRESS = f"http://{HOST}:8080"
REDIS, REPO_SERVER = "127.0.0.1:6379", "127.0.0.1:8081"
"""Where Argo CD's parts find each other."""


class State(NamedTuple):
    """What Argo CD shows of an Application."""

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
    """Have Argo CD look at git now instead of within three minutes, as its webhook does."""
    for application in applications:
        kubectl(
            *("annotate", "application", application, "-n", NAMESPACE, "--overwrite"),
            "argocd.argoproj.io/refresh=normal",
        )


def sync(application: str) -> None:
    """What the button *Sync* does, by Argo CD's API."""
    request = urllib.request.Request(
        f"{ADDRESS}/api/v1/applications/{application}/sync",
        data=b"{}",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        answer.read()


def wait_until_synced(*applications: str, revision: str = "", seconds: float = 120) -> None:
    """Wait until each is Synced and Healthy, and, if one is given, at this revision."""

    def done() -> bool:
        states = [state(application) for application in applications]
        return all(
            (found.sync, found.health) == ("Synced", "Healthy")
            and found.operation in ("Succeeded", "")
            and found.revision.startswith(revision)
            for found in states
        )

    try:
        wait_for("Synced and Healthy", done, seconds)
    except Failed as error:
        lines = [f"{name}: {state(name)}" for name in applications]
        raise Failed("\n".join([str(error), *lines])) from None


@contextmanager
def argocd() -> Iterator[None]:
    """Argo CD, at ADDRESS, where anybody may do anything."""
    manifests = sources("argocd") / "manifests"
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    kubectl("apply", "--server-side", "--kustomize", f"{manifests}/crds")
    kinds = "applications,applicationsets,appprojects"
    wait_for("Argo CD's definitions are there", lambda: succeeds(kubectl, "get", kinds))
    kubectl("apply", "-n", NAMESPACE, "--kustomize", f"{manifests}/base/config")
    folder = RUN / "argocd"
    for name in ("tls", "ssh", "plugins", "gpg/keys", "gpg/source", "tmp"):
        (folder / name).mkdir(parents=True)
    (folder / "ssh/ssh_known_hosts").touch()
    (folder / "kubeconfig").write_text(in_namespace(NAMESPACE))
    environment = {
        "KUBECONFIG": str(folder / "kubeconfig"),
        "PATH": f"{PROGRAMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TMPDIR": str(folder / "tmp"),
        "HOSTNAME": "application-controller-0",
        "REDIS_SERVER": REDIS,
        "ARGOCD_NAMESPACE": NAMESPACE,
        # It manages the cluster whose address it knows as kubernetes.default.svc.
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_TLS_DATA_PATH": str(folder / "tls"),
        "ARGOCD_SSH_DATA_PATH": str(folder / "ssh"),
        "ARGOCD_PLUGINSOCKFILEPATH": str(folder / "plugins"),
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_GNUPGHOME": str(folder / "gpg/keys"),
        "ARGOCD_GPG_DATA_PATH": str(folder / "gpg/source"),
    }
    host, port = REDIS.split(":")
    programs: dict[str, tuple[str, ...]] = {
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
    with ExitStack() as stack:
        redis = ("redis-server", "--bind", host, "--port", port, "--save", "", "--dir", str(folder))
        started = [stack.enter_context(Process("redis", *redis))]
        for name, arguments in programs.items():
            process = Process(
                f"argocd-{name}",
                PROGRAMS / "argocd",
                *arguments,
                ARGOCD_BINARY_NAME=f"argocd-{name}",
                **environment,
            )
            started.append(stack.enter_context(process))
        started[-1].wait_until("Argo CD answers", _answers)
        for process in started:
            process.check()
        say("Argo CD is ready")
        yield


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"{ADDRESS}/api/version", timeout=1) as answer:
            return "Version" in json.load(answer)
    except OSError:
        return False
