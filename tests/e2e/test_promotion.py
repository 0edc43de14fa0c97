"""A build goes through the environments; each is served by its own overlay."""

import datetime
import time

import httpx2
import pytest

from tests.e2e.argocd import NAMESPACE as ARGOCD
from tests.e2e.argocd import state, sync, wait_until_synced
from tests.e2e.cluster import SECRET, Cluster
from tests.e2e.conftest import Measure
from tests.e2e.control_plane import get, kubectl
from tests.e2e.processes import wait_for
from tests.e2e.releases import git
from tests.e2e.traffic import Traffic

PODS = {"staging": 2, "prod": 3}


@pytest.mark.parametrize(("source", "target"), [("dev", "staging"), ("staging", "prod")])
def test_promotion(
    game: Cluster, traffic: Traffic, measured: Measure, source: str, target: str
) -> None:
    """A build is promoted to the next environment by the repository's own command"""
    assert game.environment == source, f"{source} has to have it first"
    release = game.deployed()
    said = game.make("promote", f"FROM={source}", f"TO={target}")
    assert f"-> {game.releases[release]}" in said
    assert f"pushed promote/{target}" in said
    git("fetch", "--quiet")
    git("merge", "--quiet", "--no-edit", f"origin/promote/{target}")
    revision = game.push()
    with traffic.window() as window:
        began = time.monotonic()
        # This cluster becomes the next environment's: Terraform's label says which it is.
        label = ("label", "secret", SECRET, "-n", ARGOCD, "--overwrite", f"environment={target}")
        kubectl(*label)
        application = f"game-api-{target}"
        wait_for("there is its Application", lambda: get("applications", application, ARGOCD))
        if target == "prod" and not in_sync_window():
            time.sleep(5)
            assert state(application).sync == "OutOfSync"
            measured("outside of the sync window: waited, and was synced by hand")
            sync(application)
        wait_until_synced(application, revision=revision, seconds=180)
        wait_for("its pods", lambda: len(game.pods_of(release)) == PODS[target], 60)
        game.wait_until_all_are(release)
        took = time.monotonic() - began
    measured(f"{source} -> {target}: {took:.0f} s, {PODS[target]} pods; {window.summary()}")
    assert not window.failed
    assert get("applications", f"game-api-{source}", ARGOCD) == {}
    names = {
        pod["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"] for pod in game.pods()
    }
    assert len(names) == 1
    settings = get("configmaps", names.pop())["data"]
    assert settings["GAME_API_ENVIRONMENT"] == target
    assert httpx2.get(f"{game.address}/health").json()["commit"] == game.releases[release]
    assert traffic.lost() == []


def in_sync_window() -> bool:
    """Monday to Thursday, 08:00 to 16:00 UTC."""
    now = datetime.datetime.now(datetime.UTC)
    return now.weekday() < 4 and 8 <= now.hour < 16
