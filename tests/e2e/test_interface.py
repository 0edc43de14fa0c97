"""What people see of a deployment in Argo CD, and what they may do there."""

import base64
import secrets

import httpx2
import pytest

from tests.e2e.argocd import ADDRESS
from tests.e2e.argocd import NAMESPACE as ARGOCD
from tests.e2e.argocd import log_in
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import Measure
from tests.e2e.control_plane import get, kubectl
from tests.e2e.releases import git


def links(path: str, **parameters: str) -> dict[str, str]:
    """The URL of each link, by its title."""
    response = log_in().get(path, params=parameters).raise_for_status()
    return {item["title"]: item["url"] for item in response.json().get("items", [])}


def test_links_lead_to_the_commit_the_logs_and_the_documentation(
    cluster: Cluster, measure: Measure
) -> None:
    """Argo CD links to the commit of the image, the logs of each pod and the documentation"""
    sha = cluster.releases[cluster.deployed_release()]
    found = links(f"applications/{cluster.application}/links")
    assert any(url.endswith(f"/game-studio/game-api/commit/{sha}") for url in found.values())
    assert any(url.endswith(f"/compare/{sha}...main") for url in found.values())
    assert any("docs/deploy.md#rolling-back" in url for url in found.values())
    measure(f"Application: {', '.join(found)}")
    pod = cluster.pods()[0]["metadata"]["name"]
    resource = {"resourceName": pod, "kind": "Pod", "version": "v1", "group": ""}
    of_pod = links(
        f"applications/{cluster.application}/resource/links",
        namespace="gaming-namespace",
        **resource,
    )
    assert pod in of_pod["Logs of this pod"] and "game-session-logs" in of_pod["Logs of this pod"]
    summary = get("applications", cluster.application, ARGOCD)["status"]["summary"]
    assert "https://api.game.example/docs" in str(summary["externalURLs"])
    assert "http://api.game.example/" not in str(summary["externalURLs"])
    assert "game-session-metrics" in str(summary["externalURLs"])
    measure(f"external: {', '.join(sorted(summary['externalURLs']))}")


def test_the_tree_shows_the_version_of_each_resource(cluster: Cluster, measure: Measure) -> None:
    """The tree shows the version beside the Deployment and its pods"""
    sha = cluster.releases[cluster.deployed_release()]
    tree = log_in().get(f"applications/{cluster.application}/resource-tree").json()
    versions: dict[str, set[str]] = {}
    for node in tree["nodes"]:
        for item in node.get("info", []):
            if item["name"] == "app.kubernetes.io/version":
                versions.setdefault(node["kind"], set()).add(item["value"])
    assert versions["Deployment"] == {sha}
    assert sha in versions["Pod"]
    measure(f"kinds with a version: {', '.join(sorted(versions))}")


def test_the_revision_has_the_subject_of_its_commit(cluster: Cluster, measure: Measure) -> None:
    """Argo CD shows the subject of the commit that an environment follows"""
    revision = git("rev-parse", "HEAD")
    metadata = log_in().get(f"applications/{cluster.application}/revisions/{revision}/metadata")
    subject = metadata.raise_for_status().json()["message"].splitlines()[0]
    assert subject == git("log", "-1", "--format=%s")
    information = get("applications", cluster.application, ARGOCD)["spec"]["info"]
    assert {item["name"] for item in information} >= {"Environment"}
    measure(f"{subject}; {', '.join(item['name'] for item in information)}")


@pytest.fixture
def viewer() -> httpx2.Client:
    """A user without permissions of its own."""
    patch = '--patch={"data": {"accounts.viewer": "login"}}'
    kubectl("patch", "configmap", "argocd-cm", "-n", ARGOCD, "--type=merge", patch)
    secret = get("secrets", "argocd-initial-admin-secret", ARGOCD)["data"]["password"]
    new = secrets.token_hex(16)
    change = {"currentPassword": base64.b64decode(secret).decode()}
    change |= {"name": "viewer", "newPassword": new}
    log_in().put("account/password", json=change).raise_for_status()
    return log_in("viewer", new)


def test_users_may_read_and_only_those_with_permission_may_sync(
    cluster: Cluster, viewer: httpx2.Client
) -> None:
    """Everybody who is signed in may read in Argo CD, but not sync; nobody else may read"""
    path = f"applications/{cluster.application}"
    assert viewer.get(path).status_code == 200
    refused = viewer.post(f"{path}/sync", json={})
    assert refused.status_code == 403 and "permission denied" in refused.text
    wrong = {"Authorization": "Bearer wrong"}
    stranger = httpx2.get(f"{ADDRESS}/api/v1/{path}", headers=wrong, verify=False)
    assert stranger.status_code == 401
