"""What dev runs is promoted to staging and to prod, taken back there, and shown."""

import datetime
import time

import pytest

from gitops import overlay
from tests.e2e.argocd import state, sync, wait_until_synced
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import Measure
from tests.e2e.control_plane import get
from tests.e2e.processes import Failed, print_progress, wait_for
from tests.e2e.traffic import Traffic

PODS = {"staging": 2, "prod": 3}
"""The number of pods in each environment."""


@pytest.mark.parametrize(("source", "target"), [("dev", "staging"), ("staging", "prod")])
def test_what_an_environment_runs_is_promoted_to_the_next(
    cluster: Cluster, traffic: Traffic, measure: Measure, source: str, target: str
) -> None:
    """`make promote` deploys what an environment runs to the next, if Argo CD says it is healthy"""
    assert cluster.environment == source, f"the build must be deployed to {source} first"
    release = cluster.deployed_release()
    assert release != "current"
    cluster.commit_status(release, "success", seconds=180)
    output = cluster.make("promote", f"FROM={source}", f"TO={target}")
    print_progress(output.strip())
    assert f"{cluster.releases['current']} -> {cluster.releases[release]}" in output
    assert f"healthy in {source} for" in output
    revision = cluster.merge(f"promote/{target}", overlay.branch(target))
    with traffic.window() as window:
        started = time.monotonic()
        cluster.become(target)
        application = f"game-api-{target}"
        if target == "prod" and not in_sync_window():
            time.sleep(5)
            assert state(application).sync == "OutOfSync"
            measure("outside of the sync window: synced manually")
            sync(application)
        wait_until_synced(application, revision=revision, seconds=180)
        replicas = PODS[target]
        wait_for(f"{replicas} pods are ready", lambda: len(cluster.ready_pods(release)) == replicas)
        cluster.wait_for_rollout(release)
        seconds = time.monotonic() - started
    measure(f"{source} -> {target}: {seconds:.0f} s, {replicas} pods; {window.summary()}")
    assert not window.failed
    assert get("applications", f"game-api-{source}", "argocd") == {}
    settings = get("configmaps", cluster.config_map_name())["data"]
    assert settings["GAME_API_ENVIRONMENT"] == target
    assert cluster.fetch("/health").json()["commit"] == cluster.releases[release]
    assert traffic.lost_writes() == []


def test_an_environment_goes_back_to_an_earlier_build(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """`make rollback` goes back to an earlier build, which is not promoted again unasked"""
    release = cluster.deployed_release()
    builds = cluster.make("rollback", "ENV=prod")
    print_progress(builds.strip())
    assert cluster.releases["current"][:12] in builds and "running" in builds
    print_progress(cluster.make("rollback", "ENV=prod", f"TO={cluster.releases['current'][:12]}"))
    with traffic.window() as window:
        started = time.monotonic()
        revision = cluster.merge("rollback/prod", overlay.branch("prod"))
        if not in_sync_window():
            wait_for("Argo CD has seen it", lambda: state("game-api-prod").revision == revision)
            sync("game-api-prod")
        cluster.wait_for_rollout("current")
        measure(f"all pods replaced {time.monotonic() - started:.0f} s after the merge")
    measure(window.summary())
    assert not window.failed
    with pytest.raises(Failed, match="it was taken back on"):
        cluster.make("promote", "FROM=staging", "TO=prod")
    output = cluster.make("promote", "FROM=staging", "TO=prod", "AGAIN=1")
    assert f"-> {cluster.releases[release]}" in output
    print_progress(cluster.make("status"))


def in_sync_window() -> bool:
    """Return whether prod's sync window is open: Monday to Thursday, 08:00 to 16:00 UTC."""
    now = datetime.datetime.now(datetime.UTC)
    return now.weekday() < 4 and 8 <= now.hour < 16
