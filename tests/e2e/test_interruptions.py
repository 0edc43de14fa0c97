"""What happens if a commit, a revert or the end of the window comes while a sync is under way."""

import time

from tests.e2e.argocd import NAMESPACE as ARGOCD
from tests.e2e.argocd import log_in, refresh, state, sync, wait_until_synced
from tests.e2e.cluster import DEV, Cluster
from tests.e2e.conftest import Measure
from tests.e2e.control_plane import get
from tests.e2e.paths import CHECKOUT
from tests.e2e.processes import wait_for
from tests.e2e.releases import git
from tests.e2e.traffic import Traffic

PROJECT = "clusters/projects/game-session.yaml"
DEBUG, INFO = "value: debug", "value: info"
WITHOUT_DATABASE = """\
  - target:
      kind: Job
    patch: |-
      - op: add
        path: /spec/template/spec/containers/0/env/-
        value:
          name: GAME_API_DOCUMENTDB_HOST
          value: 198.18.1.253
  - target:
      kind: ConfigMap
    patch: |-
      - op: replace
        path: /data/GAME_API_SHUTDOWN_TIMEOUT
        value: "19"
"""
"""Makes the index job wait for a database that does not exist, for a minute.

The change of a setting starts the sync, because a change of the job alone does not.
"""
WINDOW = "applications: [game-api-prod]\n      manualSync: true\n"
CLOSED = WINDOW + """\
    - kind: deny
      schedule: "* * * * *"
      duration: 1h
      applications: [game-api-dev]
      manualSync: true
"""


def is_syncing(cluster: Cluster, revision: str) -> bool:
    """Whether a sync to this revision is under way, and has come to the index job."""
    found = state(cluster.application)
    status = get("applications", cluster.application, ARGOCD)["status"]
    synced = status.get("operationState", {}).get("syncResult", {}).get("revision", "")
    return found.operation == "Running" and synced == revision and "hook" in found.message


def terminate(cluster: Cluster) -> None:
    """End a sync, as the *Terminate* button does."""
    log_in().delete(f"applications/{cluster.application}/operation").raise_for_status()
    ended = ("Failed", "Succeeded")
    wait_for("the sync is terminated", lambda: state(cluster.application).operation in ended)


def test_of_two_commits_the_newer_one_wins(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """A commit while a sync is under way: the sync ends, then the newer commit is synced"""
    with traffic.window() as window:
        started = time.monotonic()
        first = cluster.edit(DEV, DEBUG, INFO, "fix(dev): log less")
        wait_for("the sync is under way", lambda: is_syncing(cluster, first))
        second = cluster.edit(DEV, INFO, DEBUG, "fix(dev): log more")
        wait_until_synced(cluster.application, revision=second)
        cluster.wait_for_rollout(cluster.deployed_release())
        settings = get("configmaps", cluster.config_map_name())["data"]
        assert settings["GAME_API_LOG_LEVEL"] == "debug"
        measure(f"the second commit is deployed {time.monotonic() - started:.0f} s after the first")
    measure(window.summary())
    assert not window.failed


def test_a_sync_that_waits_can_be_terminated_for_a_revert(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """A revert while the index job waits: it takes effect when the job ends or is terminated"""
    release = cluster.deployed_release()
    pods = cluster.ready_pods(release)
    with traffic.window() as window:
        bad = cluster.patch(WITHOUT_DATABASE, "fix(dev): a database that does not exist")
        wait_for("the sync is under way", lambda: is_syncing(cluster, bad))
        revision = cluster.revert()
        wait_for(
            "Argo CD has seen the revert", lambda: state(cluster.application).revision == revision
        )
        time.sleep(5)
        assert state(cluster.application).operation == "Running"
        started = time.monotonic()
        terminate(cluster)
        refresh(cluster.application)
        wait_for(
            "the Application is in sync with the revert",
            lambda: state(cluster.application)[:3] == ("Synced", "Healthy", revision),
        )
        measure(f"in sync with the revert {time.monotonic() - started:.0f} s after Terminate")
        assert cluster.ready_pods(release) == pods
    measure(window.summary())
    assert not window.failed


def test_a_sync_stands_still_when_the_window_closes(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """The window closes while a sync is under way: it stands still, and Terminate and Sync help"""
    with traffic.paused():
        with cluster.database.outage():
            revision = cluster.edit(DEV, DEBUG, INFO, "fix(dev): log less")
            wait_for("the sync is under way", lambda: is_syncing(cluster, revision))
            cluster.edit(PROJECT, WINDOW, CLOSED, "chore: close the window of dev")
            wait_for("the window is closed", lambda: is_closed(cluster))
        message = cluster.told("game-api-dev could not be synced", "blocked by sync window")
        measure(message.text)
        assert state(cluster.application).operation == "Running"
        terminate(cluster)
        sync(cluster.application)
        started = time.monotonic()
        wait_until_synced(cluster.application)
        cluster.wait_for_rollout(cluster.deployed_release())
        measure(f"deployed {time.monotonic() - started:.0f} s after Sync")
    settings = get("configmaps", cluster.config_map_name())["data"]
    assert settings["GAME_API_LOG_LEVEL"] == "info"
    reverted = cluster.edit(DEV, INFO, DEBUG, "fix(dev): log more")
    wait_for("Argo CD has seen it", lambda: state(cluster.application).revision == reverted)
    time.sleep(5)
    assert state(cluster.application).sync == "OutOfSync"
    text = (CHECKOUT / PROJECT).read_text()
    cluster.edit(PROJECT, text, text.replace(CLOSED, WINDOW), "chore: open the window of dev")
    wait_for("the window is open", lambda: not is_closed(cluster))
    refresh(cluster.application)
    wait_until_synced(cluster.application, revision=git("rev-parse", "HEAD"))
    cluster.wait_for_rollout(cluster.deployed_release())
    measure("the commit outside of the window waited, and was deployed once it was open")


def is_closed(cluster: Cluster) -> bool:
    """Whether the sync windows forbid automatic syncs, by Argo CD's own answer."""
    answer = log_in().get(f"applications/{cluster.application}/syncwindows")
    return bool(answer.raise_for_status().json().get("activeWindows"))
