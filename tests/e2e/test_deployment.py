"""Commits deploy, and what is not in git does not last."""

import json
import time
from collections.abc import Callable
from uuid import uuid4

import httpx2

from tests.e2e.argocd import NAMESPACE as ARGOCD
from tests.e2e.argocd import state, wait_until_synced
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import Measure
from tests.e2e.control_plane import NAMESPACE, get, items, kubectl
from tests.e2e.network import OTHER_HOST
from tests.e2e.processes import wait_for
from tests.e2e.releases import image
from tests.e2e.traffic import Traffic


def test_first_sync(
    game: Cluster, first_sync: float, http: httpx2.Client, measured: Measure
) -> None:
    """From nothing to Synced and Healthy, and the API answers"""
    applications = [item["metadata"]["name"] for item in items("applications", namespace=ARGOCD)]
    assert sorted(applications) == ["game-api-dev", "root"]
    for application in applications:
        assert state(application)[:2] == ("Synced", "Healthy")
    assert http.get("/health").json()["commit"] == game.releases["current"]
    measured(f"{first_sync:.0f} s from the root Application")


def test_indexes_come_first(game: Cluster) -> None:
    """The index job is done before the Deployment exists"""
    job = get("jobs", "game-api-create-indexes")["status"]
    assert job["succeeded"] == 1
    assert job["completionTime"] <= get("deployments", "game-api")["metadata"]["creationTimestamp"]
    with game.database.client() as client:
        assert "username_key" in client["game"]["players"].index_information()


def test_endpoints(game: Cluster, http: httpx2.Client) -> None:
    """Every endpoint answers through the Service, from a database with TLS and a password"""
    detailed = http.get("/health/detailed")
    assert (detailed.status_code, detailed.json()["status"]) == (200, "ok")
    name = f"ada-{uuid4().hex[:8]}"
    made = http.post("/api/v1/players", json={"username": name, "player_id": name})
    path = f"/api/v1/players/{name}"
    assert (made.status_code, made.headers["location"]) == (201, path)
    assert http.put(path, json={"rating": 1200}).json()["version"] == 2
    assert http.get(path).json()["rating"] == 1200
    body = {"name": "duel", "game_mode": "duel", "max_players": 2, "host_player_id": name}
    session = http.post("/api/v1/sessions", json=body)
    assert session.status_code == 201
    place = session.headers["location"]
    assert http.put(place, json={"status": "starting"}).json()["status"] == "starting"
    assert [member["player_id"] for member in http.get(place).json()["members"]] == [name]
    with game.database.client() as client:
        stored = client["game"]["players"].find_one({"_id": name})
        assert stored and stored["rating"] == 1200


def test_logs(game: Cluster, http: httpx2.Client) -> None:
    """Each request has its line in CloudWatch Logs, whichever pod answered"""
    wanted = {pod["metadata"]["name"] for pod in game.pods()}
    ids = set()
    for _ in range(20 * len(wanted)):
        of = f"e2e-{uuid4().hex}"
        # A connection each, so that every pod has its turn.
        httpx2.get(f"{game.address}/api/v1/players?limit=1", headers={"X-Request-ID": of})
        ids.add(of)

    def logged() -> bool:
        lines = [line for line in game.aws.log_lines() if line.get("request_id") in ids]
        return len(lines) == len(ids) and {line["pod"] for line in lines} == wanted

    wait_for("every request is in the log group", logged, 30)


def test_rollout(game: Cluster, traffic: Traffic, measured: Measure) -> None:
    """A commit that bumps the tag rolls the pods, and no request notices"""
    with traffic.window() as window:
        began = time.monotonic()
        game.bump("next")
        game.wait_until_all_are("next")
        took = time.monotonic() - began
        game.wait_until_others_have_ended()
    measured(f"commit to all pods new: {took:.0f} s")
    measured(window.summary())
    assert not window.failed
    assert traffic.lost() == []
    wait_until_synced(game.application)


def test_bad_image(game: Cluster, traffic: Traffic, measured: Measure) -> None:
    """An image that crashes at its start never replaces one that works; a revert heals it"""
    release = game.deployed()
    before = game.pods_of(release)
    assert len(before) == 2
    with traffic.window() as window:
        game.bump("crashing")

        def crashes() -> bool:
            return any(
                "terminated" in status["state"] | status["lastState"]
                for pod in game.pods()
                if pod["spec"]["containers"][0]["image"].endswith(game.releases["crashing"])
                for status in pod["status"].get("containerStatuses", [])
            )

        wait_for("the new pod crashes", crashes)
        shown = state(game.application).health
        assert shown in ("Progressing", "Degraded")
        assert game.pods_of(release) == before
        began = time.monotonic()
        revision = game.revert()
        wait_until_synced(game.application, revision=revision)
        assert game.pods_of(release) == before
        took = time.monotonic() - began
    measured(f"Argo CD says {shown}; healed {took:.0f} s after the revert")
    measured(window.summary())
    assert not window.failed


def test_failing_indexes(game: Cluster, traffic: Traffic, measured: Measure) -> None:
    """A failing index job stops the rollout before it begins; a revert heals it"""
    release = game.deployed()
    before = game.pods_of(release)
    assert len(before) == 2
    with traffic.window() as window:
        game.bump("without-indexes")

        def failed() -> bool:
            job = get("jobs", "game-api-create-indexes")
            image = job.get("spec", {}).get("template", {}).get("spec", {}).get("containers")
            of_release = image and image[0]["image"].endswith(game.releases["without-indexes"])
            return bool(of_release and job["status"].get("failed"))

        wait_for("the job fails", failed)
        wait_for(
            "the sync fails",
            lambda: "completed unsuccessfully" in state(game.application).message,
        )
        assert game.deployed() == release
        assert game.pods_of(release) == before
        began = time.monotonic()
        revision = game.revert()
        wait_until_synced(game.application, revision=revision, seconds=180)
        took = time.monotonic() - began
        assert game.pods_of(release) == before
    measured(f"synced {took:.0f} s after the revert")
    measured(window.summary())
    assert not window.failed


def test_drift(game: Cluster, traffic: Traffic, measured: Measure) -> None:
    """What somebody changes by hand is put back"""
    release = game.deployed()
    other = next(sha for name, sha in game.releases.items() if name != release)

    def healed(what: str, healed: Callable[[], bool], *command: str) -> None:
        began = time.monotonic()
        kubectl(*command, "-n", NAMESPACE)
        wait_for(what, healed)
        measured(f"{what}: {time.monotonic() - began:.1f} s")

    def replicas() -> int:
        return int(get("deployments", "game-api")["spec"]["replicas"])

    with traffic.window() as window:
        edit = ("set", "image", "deployment/game-api", f"game-api={image(other)}")
        healed("image edited", lambda: game.deployed() == release, *edit)
        game.wait_until_all_are(release)
        scale = ("scale", "deployment/game-api", "--replicas=1")
        what = "scaled to 1, put right by the autoscaler"
        healed(what, lambda: replicas() == len(game.pods_of(release)) == 2, *scale)
    measured(window.summary())
    assert not window.failed
    service = get("services", "game-api")["metadata"]["uid"]
    healed("Service deleted", game.is_served, "delete", "service", "game-api")
    assert get("services", "game-api")["metadata"]["uid"] != service
    traffic.address = game.address
    wait_until_synced(game.application)
    with traffic.window() as window:
        wait_for("some requests", lambda: len(window.requests) > 50)
    assert not window.failed


def test_changed_fact(game: Cluster, traffic: Traffic, measured: Measure) -> None:
    """A fact that changes, the database's endpoint, is a new ConfigMap and new pods"""
    before = {pod["metadata"]["name"] for pod in game.pods()}
    configuration = configuration_of(game)
    game.database.serve_at(OTHER_HOST)
    with traffic.window() as window:
        began = time.monotonic()
        game.set_fact("documentdb_host", OTHER_HOST)

        def moved() -> bool:
            names = {pod["metadata"]["name"] for pod in game.pods()}
            return not names & before

        wait_for("new pods", moved)
        game.wait_until_all_are(game.deployed())
        took = time.monotonic() - began
    measured(f"fact to all pods new: {took:.0f} s")
    measured(window.summary())
    assert not window.failed
    assert configuration_of(game) != configuration
    assert game.database.connections(OTHER_HOST)
    wait_until_synced(game.application)


def configuration_of(game: Cluster) -> str:
    """The name of the ConfigMap that pods take their settings from."""
    names = {
        json.dumps(pod["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"])
        for pod in game.pods()
    }
    assert len(names) == 1
    return names.pop()
