"""The Kubernetes control plane: etcd, API server, controller manager and scheduler."""

import functools
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.e2e.network import HOST, SERVICES
from tests.e2e.paths import KUBECONFIG, PROGRAMS, RUN
from tests.e2e.processes import Process, print_progress, run, succeeds

SERVER = f"https://{HOST}:6443"
ETCD = "http://127.0.0.1:2379"
NAMESPACE = "gaming-namespace"
KINDS = {
    "applications": "apis/argoproj.io/v1alpha1",
    "configmaps": "api/v1",
    "deployments": "apis/apps/v1",
    "horizontalpodautoscalers": "apis/autoscaling/v2",
    "ingresses": "apis/networking.k8s.io/v1",
    "jobs": "apis/batch/v1",
    "networkpolicies": "apis/networking.k8s.io/v1",
    "pods": "api/v1",
    "secrets": "api/v1",
    "services": "api/v1",
}
"""The API path of each kind that the tests read."""


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """Run kubectl as the cluster's administrator and return its output. Raises Failed."""
    return run("kubectl", *arguments, stdin=stdin, KUBECONFIG=str(KUBECONFIG))


@functools.cache
def api() -> httpx2.Client:
    """A client of the API server, for requests that are sent several times a second.

    Each start of kubectl takes a tenth of a second of CPU time.
    """
    token = json.loads(KUBECONFIG.read_text())["users"][0]["user"]["token"]
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.Client(base_url=SERVER, headers=headers, verify=False, timeout=10)


def get(kind: str, name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    """Return a resource, or {} if it does not exist."""
    response = api().get(f"{collection_path(kind, namespace)}/{name}")
    resource: dict[str, Any] = response.json()
    return {} if response.status_code == 404 else resource


def items(kind: str, selector: str = "", namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    """Return all resources of a kind that match the label selector."""
    response = api().get(collection_path(kind, namespace), params={"labelSelector": selector})
    resources: list[dict[str, Any]] = response.json()["items"]
    return resources


def collection_path(kind: str, namespace: str) -> str:
    return f"/{KINDS[kind]}/namespaces/{namespace}/{kind}"


def apply(*manifests: dict[str, Any]) -> None:
    resources = {"apiVersion": "v1", "kind": "List", "items": manifests}
    kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(resources))


@contextmanager
def running_control_plane() -> Iterator[None]:
    """Run Kubernetes without a node at SERVER. KUBECONFIG holds the administrator's token."""
    folder = RUN / "control-plane"
    folder.mkdir()
    key, tokens = folder / "service-accounts.key", folder / "tokens.csv"
    run("openssl", "genrsa", "-out", key, "2048")
    token = secrets.token_hex(16)
    tokens.write_text(f"{token},admin,admin,system:masters\n")
    _make_aggregator_certificate(folder)
    KUBECONFIG.write_text(json.dumps(_kubeconfig(token)))
    etcd = Process(
        "etcd",
        *(PROGRAMS / "etcd", f"--data-dir={folder}/etcd", "--unsafe-no-fsync"),
        *(f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}"),
    )
    with etcd, _api_server(folder, key, tokens) as api_server:
        api_server.wait_until(
            "kube-apiserver is ready", lambda: succeeds(kubectl, "get", "--raw", "/readyz")
        )
        with _controller_manager(key), _scheduler():
            print_progress("the Kubernetes control plane is ready")
            yield


def _api_server(folder: Path, key: Path, tokens: Path) -> Process:
    return Process(
        "kube-apiserver",
        PROGRAMS / "kube-apiserver",
        f"--etcd-servers={ETCD}",
        *(f"--bind-address={HOST}", f"--advertise-address={HOST}", "--secure-port=6443"),
        f"--cert-dir={folder}/certificates",
        f"--service-cluster-ip-range={SERVICES}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--token-auth-file={tokens}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",
        # The API server passes requests for metrics on, with the user in headers. Its certificate
        # proves that the headers are its own.
        f"--requestheader-client-ca-file={folder}/aggregator.crt",
        f"--proxy-client-cert-file={folder}/aggregator.crt",
        f"--proxy-client-key-file={folder}/aggregator.key",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--enable-aggregator-routing=true",
    )


def _make_aggregator_certificate(folder: Path) -> None:
    """A certificate that is its own authority."""
    run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
        *("-keyout", folder / "aggregator.key", "-out", folder / "aggregator.crt"),
        *("-subj", "/CN=aggregator", "-addext", "extendedKeyUsage=clientAuth"),
    )


def _controller_manager(key: Path) -> Process:
    return Process(
        "kube-controller-manager",
        *(PROGRAMS / "kube-controller-manager", f"--kubeconfig={KUBECONFIG}"),
        "--bind-address=127.0.0.1",
        f"--service-account-private-key-file={key}",
        # The default is 15 s. This makes the autoscaler act sooner.
        "--horizontal-pod-autoscaler-sync-period=2s",
    )


def _scheduler() -> Process:
    return Process(
        "kube-scheduler",
        *(PROGRAMS / "kube-scheduler", f"--kubeconfig={KUBECONFIG}", "--bind-address=127.0.0.1"),
    )


def _kubeconfig(token: str) -> dict[str, Any]:
    name = "game-api-e2e"
    cluster = {"server": SERVER, "insecure-skip-tls-verify": True}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": "admin", "namespace": NAMESPACE}}
        ],
        "current-context": name,
    }


def kubeconfig_for(namespace: str) -> str:
    """The kubeconfig with another default namespace."""
    kubeconfig = json.loads(KUBECONFIG.read_text())
    kubeconfig["contexts"][0]["context"]["namespace"] = namespace
    return json.dumps(kubeconfig)
