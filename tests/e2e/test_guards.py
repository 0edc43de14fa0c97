"""Forbidden resources are refused, and the service's pods have no unnecessary privileges."""

import json
import time
from typing import Any

import pytest

from tests.e2e.argocd import NAMESPACE as ARGOCD
from tests.e2e.argocd import wait_until_synced
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import Measure
from tests.e2e.control_plane import NAMESPACE, apply, get, kubectl
from tests.e2e.paths import CHECKOUT
from tests.e2e.processes import Failed, wait_for
from tests.e2e.releases import REGISTRY, git
from tests.e2e.repository import REPOSITORY_URL
from tests.e2e.traffic import Traffic

INSPECT = """
import os, pathlib
status = dict(
    line.split(":", 1) for line in pathlib.Path("/proc/1/status").read_text().splitlines()
)
try:
    pathlib.Path("/opt/game-api/x").touch()
    wrote = True
except OSError:
    wrote = False
token = os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount/token")
print(os.getuid(), int(status["CapEff"], 16), status["NoNewPrivs"].strip(),
      status["Seccomp"].strip(), wrote, token)
"""


def test_pods_have_no_privileges(cluster: Cluster) -> None:
    """A pod runs as a non-root user, with a read-only file system, no capabilities and no token"""
    pod = cluster.pods()[0]["metadata"]["name"]
    seen = kubectl("exec", "-n", NAMESPACE, pod, "--", "python3", "-c", INSPECT).split()
    assert seen == ["10001", "0", "1", "2", "False", "False"]


@pytest.mark.usefixtures("cluster")
def test_the_namespace_refuses_a_privileged_pod() -> None:
    """The namespace refuses a privileged pod"""
    privileged = ("--image=any", "--privileged", "--restart=Never")
    with pytest.raises(Failed, match='violates PodSecurity "restricted:v1.36"'):
        kubectl("run", "privileged", "-n", NAMESPACE, *privileged)


@pytest.mark.parametrize(
    "image", [f"{REGISTRY}/game-api:latest", f"docker.example/game-api:{'a' * 40}"]
)
def test_the_namespace_refuses_an_image_that_no_release_has_built(
    cluster: Cluster, image: str
) -> None:
    """The namespace refuses a pod with an image of another registry, or with another tag"""
    pod, *_ = cluster.pods()
    container = {**pod["spec"]["containers"][0], "image": image}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "unreleased", "namespace": NAMESPACE},
        "spec": {
            "automountServiceAccountToken": False,
            "containers": [{key: container[key] for key in ("name", "image", "securityContext")}],
            "securityContext": pod["spec"]["securityContext"],
        },
    }
    with pytest.raises(Failed, match=f"run only {REGISTRY}/game-api:<sha .*, not {image}"):
        apply(manifest)
    assert get("pods", "unreleased") == {}


def test_the_namespace_refuses_such_an_image_in_a_running_pod(cluster: Cluster) -> None:
    """The namespace refuses to debug a pod with an image that no release has built"""
    pod = cluster.pods()[0]["metadata"]["name"]
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
    }
    debugger = {"name": "debug", "image": "busybox", "securityContext": security}
    patch = json.dumps({"spec": {"ephemeralContainers": [debugger]}})
    options = ("-n", NAMESPACE, "--subresource=ephemeralcontainers", f"--patch={patch}")
    with pytest.raises(Failed, match=f"run only {REGISTRY}/game-api:<sha .*, not busybox"):
        kubectl("patch", "pod", pod, *options)


def test_the_revert_of_a_setting_does_not_wait_for_the_rollout(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """A setting with which no pod gets ready replaces no pod, and its revert starts at once"""
    pods = cluster.ready_pods(cluster.deployed_release())
    settings = CHECKOUT / "apps/game-api/base/settings.env"
    with traffic.window() as window:
        settings.write_text(settings.read_text().replace("PORT=8000", "PORT=8001"))
        git("commit", "--quiet", "--all", "--message=test: a port that no probe uses")
        cluster.push()
        wait_for("a new pod is created", lambda: len(cluster.pods()) > len(pods))
        started = time.monotonic()
        revision = cluster.revert()
        # A sync that waits for the rollout would last until the progress deadline, 120 s.
        wait_until_synced(cluster.application, revision=revision, seconds=60)
        seconds = time.monotonic() - started
        assert cluster.ready_pods(cluster.deployed_release()) == pods
    measure(f"Healthy {seconds:.0f} s after the revert")
    measure(window.summary())
    assert not window.failed


def application(name: str, namespace: str, path: str, revision: str) -> dict[str, Any]:
    """An Application in the AppProject of the game API."""
    server = "https://kubernetes.default.svc"
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": ARGOCD},
        "spec": {
            "project": "game-session",
            "destination": {"server": server, "namespace": namespace},
            "source": {"repoURL": REPOSITORY_URL, "path": path, "targetRevision": revision},
            "syncPolicy": {"automated": {}},
        },
    }


@pytest.mark.usefixtures("cluster")
def test_the_project_refuses_another_namespace() -> None:
    """The AppProject refuses an Application that deploys to another namespace"""
    apply(application("outside", "kube-system", "apps/game-api/overlays/dev", "main"))
    try:
        wait_for(
            "the Application is refused",
            lambda: "do not match any of the allowed" in status_of("outside"),
        )
    finally:
        kubectl("delete", "application", "outside", "-n", ARGOCD)


@pytest.mark.usefixtures("cluster")
def test_the_project_refuses_a_kind_that_it_does_not_list() -> None:
    """The AppProject refuses an Application with a kind that it does not list"""
    git("checkout", "--quiet", "-b", "other-kinds")
    try:
        folder = CHECKOUT / "apps/other-kinds"
        folder.mkdir()
        (folder / "secret.yaml").write_text(
            "{apiVersion: v1, kind: Secret, metadata: {name: unlisted}}\n"
        )
        git("add", ".")
        git("commit", "--quiet", "--message=test: a kind that the project does not list")
        git("push", "--quiet", "origin", "other-kinds")
    finally:
        git("checkout", "--quiet", "main")
    apply(application("other-kinds", NAMESPACE, "apps/other-kinds", "other-kinds"))
    try:
        wait_for(
            "the Application is refused",
            lambda: "is not permitted in project" in status_of("other-kinds"),
        )
        assert get("secrets", "unlisted") == {}
    finally:
        kubectl("delete", "application", "other-kinds", "-n", ARGOCD)


def status_of(name: str) -> str:
    """The complete status of an Application as text."""
    return str(get("applications", name, ARGOCD).get("status"))
