"""A build is promoted from dev to staging to prod, and each environment uses its own overlay."""

import datetime
import time

import pytest

from tests.e2e.argocd import NAMESPACE as ARGOCD
from tests.e2e.argocd import state, sync, wait_until_synced
from tests.e2e.cluster import CLUSTER_SECRET, Cluster
from tests.e2e.conftest import Measure
from tests.e2e.control_plane import get, kubectl
from tests.e2e.processes import wait_for
from tests.e2e.releases import git
from tests.e2e.traffic import Traffic

PODS = {"staging": 2, "prod": 3}
"""The number of pods in each environment."""


@pytest.mark.parametrize(("source", "target"), [("dev", "staging"), ("staging", "prod")])
def test_a_build_is_promoted_to_the_next_environment(
    cluster: Cluster, traffic: Traffic, measure: Measure, source: str, target: str
) -> None:
    """`make promote` deploys a build to the next environment"""
    assert cluster.environment == source, f"the build must be deployed to {source} first"
    release = cluster.deployed_release()
    output = cluster.make("promote", f"FROM={source}", f"TO={target}")
    assert f"-> {cluster.releases[release]}" in output
    assert f"pushed promote/{target}" in output
    git("fetch", "--quiet")
    git("merge", "--quiet", "--no-edit", f"origin/promote/{target}")
    revision = cluster.push()
    with traffic.window() as window:
        started = time.monotonic()
        # The label, which Terraform sets, moves this cluster to the next environment.
        label = ("label", "secret", CLUSTER_SECRET, "-n", ARGOCD, "--overwrite")
        kubectl(*label, f"environment={target}")
        application = f"game-api-{target}"
        wait_for("the new Application exists", lambda: get("applications", application, ARGOCD))
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
    assert get("applications", f"game-api-{source}", ARGOCD) == {}
    settings = get("configmaps", cluster.config_map_name())["data"]
    assert settings["GAME_API_ENVIRONMENT"] == target
    assert cluster.fetch("/health").json()["commit"] == cluster.releases[release]
    assert traffic.lost_writes() == []


def in_sync_window() -> bool:
    """Return whether prod's sync window is open: Monday to Thursday, 08:00 to 16:00 UTC."""
    now = datetime.datetime.now(datetime.UTC)
    return now.weekday() < 4 and 8 <= now.hour < 16
