"""Kubernetes' control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler."""

import functools
import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2

from tests.e2e.network import HOST, SERVICES
from tests.e2e.paths import KUBECONFIG, PROGRAMS, RUN
from tests.e2e.processes import Process, run, say, succeeds

SERVER = f"https://{HOST}:6443"
NAMESPACE = "gaming-namespace"
KINDS = {
    "applications": "apis/argoproj.io/v1alpha1",
    "configmaps": "api/v1",
    "deployments": "apis/apps/v1",
    "ingresses": "apis/networking.k8s.io/v1",
    "jobs": "apis/batch/v1",
    "pods": "api/v1",
    "secrets": "api/v1",
    "services": "api/v1",
}
"""The kinds that are looked at here, and where the API has them."""


def kubectl(*arguments: str, stdin: str | None = None) -> str:
    """What `kubectl` prints, as the cluster's administrator. Raises Failed."""
    return run("kubectl", *arguments, stdin=stdin, KUBECONFIG=str(KUBECONFIG))


@functools.cache
def api() -> httpx2.Client:
    """For what is asked several times a second: `kubectl` takes a tenth of a second of a core."""
    token = json.loads(KUBECONFIG.read_text())["users"][0]["user"]["token"]
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.Client(base_url=SERVER, headers=headers, verify=False, timeout=10)


def get(kind: str, name: str, namespace: str = NAMESPACE) -> dict[str, Any]:
    """A resource; {} while there is none."""
    answer = api().get(f"{path_of(kind, namespace)}/{name}")
    resource: dict[str, Any] = answer.json()
    return {} if answer.status_code == 404 else resource


def items(kind: str, selector: str = "", namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    answer = api().get(path_of(kind, namespace), params={"labelSelector": selector})
    resources: list[dict[str, Any]] = answer.json()["items"]
    return resources


def path_of(kind: str, namespace: str) -> str:
    return f"/{KINDS[kind]}/namespaces/{namespace}/{kind}"


def apply(*manifests: dict[str, Any]) -> None:
    listed = {"apiVersion": "v1", "kind": "List", "items": manifests}
    kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(listed))


@contextmanager
def control_plane() -> Iterator[None]:
    """Kubernetes without a node, at SERVER; KUBECONFIG is its administrator's."""
    folder = RUN / "control-plane"
    folder.mkdir()
    key, tokens = folder / "service-accounts.key", folder / "tokens.csv"
    run("openssl", "genrsa", "-out", key, "2048")
    token = secrets.token_hex(16)
    tokens.write_text(f"{token},admin,admin,system:masters\n")
    KUBECONFIG.write_text(json.dumps(_kubeconfig(token)))
    etcd = "http://127.0.0.1:2379"
    with ExitStack() as stack:
        stack.enter_context(
            Process(
                "etcd",
                *(PROGRAMS / "etcd", f"--data-dir={folder}/etcd", "--unsafe-no-fsync"),
                *(f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}"),
            )
        )
        apiserver = Process(
            "kube-apiserver",
            PROGRAMS / "kube-apiserver",
            f"--etcd-servers={etcd}",
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
            # What plays the webhook of EKS Pod Identity.
            "--feature-gates=MutatingAdmissionPolicy=true",
            "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
        )
        stack.enter_context(apiserver).wait_until(
            "kube-apiserver is ready", lambda: succeeds(kubectl, "get", "--raw", "/readyz")
        )
        client = f"--kubeconfig={KUBECONFIG}"
        stack.enter_context(
            Process(
                "kube-controller-manager",
                *(PROGRAMS / "kube-controller-manager", client, "--bind-address=127.0.0.1"),
                f"--service-account-private-key-file={key}",
                # Instead of 15 s, for there are no metrics to be tried on.
                "--horizontal-pod-autoscaler-sync-period=2s",
            )
        )
        stack.enter_context(
            Process(
                "kube-scheduler",
                *(PROGRAMS / "kube-scheduler", client, "--bind-address=127.0.0.1"),
            )
        )
        say("Kubernetes' control plane is ready")
        yield


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


def in_namespace(namespace: str) -> str:
    """The kubeconfig, for programs that ask it which namespace is theirs."""
    kubeconfig = json.loads(KUBECONFIG.read_text())
    kubeconfig["contexts"][0]["context"]["namespace"] = namespace
    return json.dumps(kubeconfig)
