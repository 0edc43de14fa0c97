"""Argo CD: its CRDs, its configuration, and its processes, which run beside the cluster."""

import base64
import functools
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import yaml

from tests.e2e.control_plane import apply, get, kubeconfig_for, kubectl
from tests.e2e.network import HOST
from tests.e2e.paths import PROGRAMS, RUN
from tests.e2e.processes import Failed, Process, print_progress, succeeds, wait_for
from tests.e2e.programs import source_directory

NAMESPACE = "argocd"
ADDRESS = f"https://{HOST}:8080"
REDIS, REPO_SERVER = "127.0.0.1:6379", "127.0.0.1:8081"
"""The addresses at which the components of Argo CD reach each other."""


class Component(NamedTuple):
    """A component: its manifest in Argo CD's source, and the arguments that this machine needs."""

    manifest: str
    arguments: tuple[str, ...]


COMPONENTS = {
    "repo-server": Component(
        "repo-server/argocd-repo-server-deployment.yaml",
        ("--address=127.0.0.1", "--port=8081", "--metrics-address=127.0.0.1"),
    ),
    "application-controller": Component(
        "application-controller/argocd-application-controller-statefulset.yaml",
        (f"--repo-server={REPO_SERVER}",),
    ),
    "applicationset-controller": Component(
        "applicationset-controller/argocd-applicationset-controller-deployment.yaml",
        (
            f"--argocd-repo-server={REPO_SERVER}",
            *("--metrics-addr=127.0.0.1:8085", "--probe-addr=127.0.0.1:8086"),
        ),
    ),
    "notifications": Component(
        "notification/argocd-notifications-controller-deployment.yaml",
        (f"--argocd-repo-server={REPO_SERVER}", "--metrics-port=9001"),
    ),
    "server": Component(
        "server/argocd-server-deployment.yaml",
        ("--port=8080", f"--repo-server={REPO_SERVER}", f"--redis={REDIS}"),
    ),
}
"""The components of Argo CD that run. The last one is the API."""

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


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
    """Make Argo CD check Git now, instead of within about a minute."""
    for application in applications:
        kubectl(
            *("annotate", "application", application, "-n", NAMESPACE, "--overwrite"),
            "argocd.argoproj.io/refresh=normal",
        )


@functools.cache
def log_in(user: str = "admin", password: str = "") -> httpx2.Client:
    """A client of Argo CD's API. The default is the administrator with the initial password."""
    if not password:
        secret = get("secrets", "argocd-initial-admin-secret", NAMESPACE)
        password = base64.b64decode(secret["data"]["password"]).decode()
    json_only = {"Content-Type": "application/json"}  # which a DELETE needs as well
    base = f"{ADDRESS}/api/v1"
    client = httpx2.Client(base_url=base, headers=json_only, verify=False, timeout=10)
    response = client.post("session", json={"username": user, "password": password})
    client.headers["Authorization"] = f"Bearer {response.raise_for_status().json()['token']}"
    return client


def sync(application: str) -> None:
    """Sync an Application through Argo CD's API, as the *Sync* button does."""
    response = log_in().post(f"applications/{application}/sync", json={})
    if response.is_error:
        raise Failed(f"Argo CD does not sync {application}: {response.text}")


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
def running_argocd(values: dict[str, Any]) -> Iterator[None]:
    """Run Argo CD at ADDRESS with the configuration that the values of its Helm chart have."""
    _apply_manifests()
    config_maps = _configure(values)
    folder = RUN / "argocd"
    environment = _prepare(folder)
    host, port = REDIS.split(":")
    with ExitStack() as stack:
        redis = ("redis-server", "--bind", host, "--port", port, "--save", "", "--dir", str(folder))
        started = [stack.enter_context(Process("redis", *redis))]
        for name, component in COMPONENTS.items():
            process = Process(
                f"argocd-{name}",
                PROGRAMS / "argocd",
                *component.arguments,
                ARGOCD_BINARY_NAME=f"argocd-{name}",
                **environment,
                **_parameters(component, config_maps),
            )
            started.append(stack.enter_context(process))
        started[-1].wait_until("the API of Argo CD answers", _answers)
        for process in started:
            process.check_running()
        print_progress("Argo CD is ready")
        yield


def _manifests() -> Path:
    return source_directory("argocd") / "manifests"


def _apply_manifests() -> None:
    """Apply Argo CD's namespace, CRDs and its own configuration."""
    manifests = _manifests()
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    kubectl("apply", "--server-side", "--kustomize", f"{manifests}/crds")
    kinds = "applications,applicationsets,appprojects"
    wait_for("the CRDs of Argo CD are established", lambda: succeeds(kubectl, "get", kinds))
    kubectl("apply", "-n", NAMESPACE, "--kustomize", f"{manifests}/base/config")


def _configure(values: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Write the ConfigMaps and the Secret that the Helm chart makes of the values.

    Returns the data of the ConfigMaps that Argo CD has by itself, by name.
    """
    configs, notifications = values["configs"], values["notifications"]
    config_maps = {
        "argocd-cm": configs["cm"],
        "argocd-cmd-params-cm": configs["params"],
        "argocd-rbac-cm": configs["rbac"],
    }
    for name, data in config_maps.items():
        patch = ("--type=merge", f"--patch={json.dumps({'data': data})}")
        kubectl("patch", "configmap", name, "-n", NAMESPACE, *patch)
    data = {
        "context": json.dumps({"argocdUrl": notifications["argocdUrl"]}),
        "subscriptions": json.dumps(notifications["subscriptions"]),
        **notifications["notifiers"],
        **notifications["templates"],
        **notifications["triggers"],
    }
    apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "argocd-notifications-cm", "namespace": NAMESPACE},
            "data": data,
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "argocd-notifications-secret", "namespace": NAMESPACE},
            "stringData": notifications["secret"]["items"],
        },
    )
    return config_maps


def _parameters(component: Component, config_maps: dict[str, dict[str, str]]) -> dict[str, str]:
    """The environment variables that the component's manifest sets from the ConfigMaps."""
    manifest = yaml.safe_load((_manifests() / "base" / component.manifest).read_text())
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    found = {}
    for variable in container["env"]:
        reference = variable.get("valueFrom", {}).get("configMapKeyRef", {})
        data = config_maps.get(reference.get("name"), {})
        if reference.get("key") in data:
            found[variable["name"]] = data[reference["key"]]
    return found


def _prepare(folder: Path) -> dict[str, str]:
    """Create the files that Argo CD needs. Returns the environment variables that name them."""
    for name in ("tls", "ssh", "plugins", "gpg/keys", "gpg/source", "tmp", "bin"):
        (folder / name).mkdir(parents=True)
    (folder / "ssh/ssh_known_hosts").touch()
    (folder / "kubeconfig").write_text(kubeconfig_for(NAMESPACE))
    # Scripts that Argo CD's image has in its path.
    for name in ("git-ask-pass.sh", "git-verify-wrapper.sh", "gpg-wrapper.sh"):
        script = folder / "bin" / name
        script.write_text((source_directory("argocd") / "hack" / name).read_text())
        script.chmod(0o755)
    return {
        "KUBECONFIG": str(folder / "kubeconfig"),
        "PATH": f"{folder}/bin:{PROGRAMS}:{SYSTEM_PATH}",
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
        if "Version" not in httpx2.get(f"{ADDRESS}/api/version", verify=False, timeout=1).json():
            return False
    except (httpx2.HTTPError, ValueError):
        return False
    return bool(get("secrets", "argocd-initial-admin-secret", NAMESPACE))
