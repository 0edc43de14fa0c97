"""Commits are deployed, and changes outside of Git are reverted."""

import time
from collections.abc import Callable
from uuid import uuid4

import httpx2

from tests.e2e.argocd import NAMESPACE as ARGOCD
from tests.e2e.argocd import state, wait_until_synced
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import Measure
from tests.e2e.control_plane import NAMESPACE, get, items, kubectl
from tests.e2e.network import SECOND_DATABASE_HOST
from tests.e2e.processes import wait_for
from tests.e2e.releases import git, image_name
from tests.e2e.traffic import Traffic

DEADLINE = """\
  - target:
      kind: Deployment
    patch: |-
      - op: replace
        path: /spec/progressDeadlineSeconds
        value: 15
"""


def test_the_first_sync_deploys_the_api(
    cluster: Cluster, first_sync_seconds: float, http: httpx2.Client, measure: Measure
) -> None:
    """The first sync makes all Applications Synced and Healthy, and the API responds"""
    applications = [item["metadata"]["name"] for item in items("applications", namespace=ARGOCD)]
    assert sorted(applications) == ["game-api-dev", "root"]
    for application in applications:
        assert state(application)[:2] == ("Synced", "Healthy")
    assert http.get("/health").json()["commit"] == cluster.releases["current"]
    measure(f"{first_sync_seconds:.0f} s from applying the root Application")


def test_the_index_job_completes_before_the_deployment_is_created(cluster: Cluster) -> None:
    """The index job completes before the Deployment is created"""
    job = get("jobs", "game-api-create-indexes")["status"]
    assert job["succeeded"] == 1
    assert job["completionTime"] <= get("deployments", "game-api")["metadata"]["creationTimestamp"]
    with cluster.database.client() as client:
        assert "username_key" in client["game"]["players"].index_information()


def test_players_and_sessions_are_stored_through_the_service(
    cluster: Cluster, http: httpx2.Client
) -> None:
    """Players and sessions are stored through the Service, in a database with TLS and a password"""
    detailed = http.get("/health/detailed")
    assert (detailed.status_code, detailed.json()["status"]) == (200, "ok")
    name = f"ada-{uuid4().hex[:8]}"
    created = http.post("/api/v1/players", json={"username": name, "player_id": name})
    player = f"/api/v1/players/{name}"
    assert (created.status_code, created.headers["location"]) == (201, player)
    assert http.put(player, json={"rating": 1200}).json()["version"] == 2
    assert http.get(player).json()["rating"] == 1200
    body = {"name": "duel", "game_mode": "duel", "max_players": 2, "host_player_id": name}
    created = http.post("/api/v1/sessions", json=body)
    assert created.status_code == 201
    session = created.headers["location"]
    assert http.put(session, json={"status": "starting"}).json()["status"] == "starting"
    assert [member["player_id"] for member in http.get(session).json()["members"]] == [name]
    with cluster.database.client() as client:
        stored = client["game"]["players"].find_one({"_id": name})
        assert stored and stored["rating"] == 1200


def test_every_request_is_logged_in_cloudwatch(cluster: Cluster, http: httpx2.Client) -> None:
    """Every request has a line in CloudWatch Logs, whichever pod served it"""
    pods = {pod["metadata"]["name"] for pod in cluster.pods()}
    ids = set()
    for _ in range(20 * len(pods)):
        request_id = f"e2e-{uuid4().hex}"
        # Each request opens its own connection, so that the Service selects every pod.
        cluster.fetch("/api/v1/players?limit=1", {"X-Request-ID": request_id})
        ids.add(request_id)

    def all_are_logged() -> bool:
        lines = [line for line in cluster.aws.log_lines() if line.get("request_id") in ids]
        return len(lines) == len(ids) and {line["pod"] for line in lines} == pods

    wait_for("every request is in the log group", all_are_logged, 30)


def test_no_request_fails_during_a_rollout(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """A commit that bumps the image tag replaces all pods, and no request fails"""
    with traffic.window() as window:
        started = time.monotonic()
        cluster.bump("next")
        cluster.wait_for_rollout("next")
        seconds = time.monotonic() - started
        cluster.wait_for_terminating_pods()
    measure(f"all pods replaced {seconds:.0f} s after the commit")
    measure(window.summary())
    assert not window.failed
    assert traffic.lost_writes() == []
    wait_until_synced(cluster.application)


def test_a_crashing_image_does_not_replace_working_pods(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """An image that crashes does not replace working pods, is reported, and can be reverted"""
    release = cluster.deployed_release()
    pods = cluster.ready_pods(release)
    assert len(pods) == 2
    # In production, it takes two minutes until a rollout that makes no progress is reported.
    cluster.patch(DEADLINE, "test(dev): report a rollout without progress after 15 s")
    with traffic.window() as window:
        cluster.bump("crashing")

        def has_crashed() -> bool:
            return any(
                "terminated" in status["state"] | status["lastState"]
                for pod in cluster.pods()
                if pod["spec"]["containers"][0]["image"].endswith(cluster.releases["crashing"])
                for status in pod["status"].get("containerStatuses", [])
            )

        wait_for("the new pod crashes", has_crashed)
        wait_for("it is Degraded", lambda: state(cluster.application).health == "Degraded", 60)
        sha = cluster.releases["crashing"]
        reported = cluster.told("is degraded", sha, "exceeded its progress deadline").text
        assert cluster.commit_status("crashing", "failure")
        assert cluster.ready_pods(release) == pods
        started = time.monotonic()
        revision = cluster.revert()
        wait_until_synced(cluster.application, revision=revision)
        assert cluster.ready_pods(release) == pods
        seconds = time.monotonic() - started
        git("revert", "--no-edit", "HEAD~2")
        wait_until_synced(cluster.application, revision=cluster.push())
    measure(f"{reported}; Healthy {seconds:.0f} s after the revert")
    measure(window.summary())
    assert not window.failed


def test_a_failing_index_job_prevents_the_rollout(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """A failing index job prevents the rollout, and after a revert the sync succeeds"""
    release = cluster.deployed_release()
    pods = cluster.ready_pods(release)
    assert len(pods) == 2
    with traffic.window() as window:
        cluster.bump("without-indexes")

        def job_has_failed() -> bool:
            job = get("jobs", "game-api-create-indexes")
            spec = job.get("spec", {}).get("template", {}).get("spec", {})
            containers = spec.get("containers")
            sha = cluster.releases["without-indexes"]
            is_of_release = containers and containers[0]["image"].endswith(sha)
            return bool(is_of_release and job["status"].get("failed"))

        wait_for("the job fails", job_has_failed)
        failed = time.monotonic()
        message = cluster.told("could not be synced", cluster.releases["without-indexes"])
        assert "Job game-api-create-indexes" in message.text
        assert cluster.commit_status("without-indexes", "failure")
        wait_for(
            "the sync fails",
            lambda: "completed unsuccessfully" in state(cluster.application).message,
        )
        assert cluster.deployed_release() == release
        assert cluster.ready_pods(release) == pods
        started = time.monotonic()
        revision = cluster.revert()
        wait_until_synced(cluster.application, revision=revision, seconds=180)
        seconds = time.monotonic() - started
        assert cluster.ready_pods(release) == pods
    measure(f"told after {message.received - failed:.1f} s: {message.text}")
    measure(f"Synced {seconds:.0f} s after the revert")
    measure(window.summary())
    assert not window.failed


def test_manual_changes_are_reverted(cluster: Cluster, traffic: Traffic, measure: Measure) -> None:
    """Manual changes in the cluster are reverted"""
    release = cluster.deployed_release()
    other = next(sha for name, sha in cluster.releases.items() if name != release)

    def measure_repair(repair: str, is_repaired: Callable[[], bool], *change: str) -> None:
        started = time.monotonic()
        kubectl(*change, "-n", NAMESPACE)
        wait_for(repair, is_repaired)
        measure(f"{repair} after {time.monotonic() - started:.1f} s")

    def replicas() -> int:
        return int(get("deployments", "game-api")["spec"]["replicas"])

    with traffic.window() as window:
        edit = ("set", "image", "deployment/game-api", f"game-api={image_name(other)}")
        measure_repair(
            "the edited image is reverted", lambda: cluster.deployed_release() == release, *edit
        )
        cluster.wait_for_rollout(release)
        measure_repair(
            "the autoscaler restores the replicas",
            lambda: replicas() == len(cluster.ready_pods(release)) == 2,
            *("scale", "deployment/game-api", "--replicas=1"),
        )
    measure(window.summary())
    assert not window.failed
    uid = get("services", "game-api")["metadata"]["uid"]
    delete = ("delete", "service", "game-api")
    measure_repair("the deleted Service is recreated", cluster.is_served, *delete)
    assert get("services", "game-api")["metadata"]["uid"] != uid
    traffic.address = cluster.address
    wait_until_synced(cluster.application)
    with traffic.window() as window:
        wait_for("50 requests are sent", lambda: len(window.requests) > 50)
    assert not window.failed


def test_a_changed_fact_creates_a_configmap_and_replaces_the_pods(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """A changed fact, the database's endpoint, creates a new ConfigMap and replaces all pods"""
    old_pods = {pod["metadata"]["name"] for pod in cluster.pods()}
    old_config_map = cluster.config_map_name()
    cluster.database.add_endpoint(SECOND_DATABASE_HOST)
    with traffic.window() as window:
        started = time.monotonic()
        cluster.set_fact("documentdb_host", SECOND_DATABASE_HOST)

        def are_replaced() -> bool:
            return not old_pods & {pod["metadata"]["name"] for pod in cluster.pods()}

        wait_for("the old pods are replaced", are_replaced)
        cluster.wait_for_rollout(cluster.deployed_release())
        seconds = time.monotonic() - started
    measure(f"all pods replaced {seconds:.0f} s after the change")
    measure(window.summary())
    assert not window.failed
    assert cluster.config_map_name() != old_config_map
    assert cluster.database.connections(SECOND_DATABASE_HOST)
    wait_until_synced(cluster.application)
