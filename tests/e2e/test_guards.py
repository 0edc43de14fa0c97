"""What must not be deployed is refused, and what is deployed may do no more than it needs."""

from typing import Any

import pytest

from tests.e2e.argocd import NAMESPACE as ARGOCD
from tests.e2e.cluster import Cluster
from tests.e2e.control_plane import NAMESPACE, apply, get, kubectl
from tests.e2e.paths import CHECKOUT, REMOTE
from tests.e2e.processes import Failed, wait_for
from tests.e2e.releases import git

LOOK = """
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


def test_pods_have_no_privileges(game: Cluster) -> None:
    """A pod runs as nobody, on a read-only file system, without privileges or a token"""
    pod = game.pods()[0]["metadata"]["name"]
    seen = kubectl("exec", "-n", NAMESPACE, pod, "--", "python3", "-c", LOOK).split()
    assert seen == ["10001", "0", "1", "2", "False", "False"]


@pytest.mark.usefixtures("game")
def test_privileged_pod() -> None:
    """A privileged pod is refused in the namespace"""
    privileged = ("--image=any", "--privileged", "--restart=Never")
    with pytest.raises(Failed, match='violates PodSecurity "restricted:v1.34"'):
        kubectl("run", "privileged", "-n", NAMESPACE, *privileged)


def application(name: str, namespace: str, path: str, revision: str) -> dict[str, Any]:
    """One of the project that the game API's own is of."""
    server = "https://kubernetes.default.svc"
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": ARGOCD},
        "spec": {
            "project": "game-session",
            "destination": {"server": server, "namespace": namespace},
            "source": {"repoURL": f"file://{REMOTE}", "path": path, "targetRevision": revision},
            "syncPolicy": {"automated": {}},
        },
    }


@pytest.mark.usefixtures("game")
def test_application_outside_of_its_namespaces() -> None:
    """The AppProject refuses an Application for another namespace"""
    apply(application("outside", "kube-system", "apps/game-api/overlays/dev", "main"))
    try:
        wait_for("it is refused", lambda: "do not match any of the allowed" in told("outside"))
    finally:
        kubectl("delete", "application", "outside", "-n", ARGOCD)


@pytest.mark.usefixtures("game")
def test_application_of_other_kinds() -> None:
    """The AppProject refuses an Application with a kind that it does not list"""
    git("checkout", "--quiet", "-b", "other-kinds")
    try:
        folder = CHECKOUT / "apps/other-kinds"
        folder.mkdir()
        (folder / "secret.yaml").write_text(
            "{apiVersion: v1, kind: Secret, metadata: {name: of-another-kind}}\n"
        )
        git("add", ".")
        git("commit", "--quiet", "--message=test: a kind that the project does not list")
        git("push", "--quiet", "origin", "other-kinds")
    finally:
        git("checkout", "--quiet", "main")
    apply(application("other-kinds", NAMESPACE, "apps/other-kinds", "other-kinds"))
    try:
        wait_for("it is refused", lambda: "is not permitted in project" in told("other-kinds"))
        assert get("secrets", "of-another-kind") == {}
    finally:
        kubectl("delete", "application", "other-kinds", "-n", ARGOCD)


def told(name: str) -> str:
    """All that Argo CD says of an Application."""
    return str(get("applications", name, ARGOCD).get("status"))
