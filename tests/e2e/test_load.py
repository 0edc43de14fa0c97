"""The autoscaler adds pods under load, and removes them afterwards."""

import itertools
import threading
import time
from http.client import HTTPConnection, HTTPException
from uuid import uuid4

import httpx2

from tests.e2e.argocd import wait_until_synced
from tests.e2e.cluster import Cluster
from tests.e2e.conftest import Measure
from tests.e2e.control_plane import get
from tests.e2e.oidc import get_tokens
from tests.e2e.processes import wait_for

SCALE_DOWN_SOON = """\
      - op: replace
        path: /spec/behavior/scaleDown/stabilizationWindowSeconds
        value: 10
      - op: replace
        path: /spec/behavior/scaleDown/policies/0/periodSeconds
        value: 10
"""


def test_the_autoscaler_adds_pods_under_load_and_removes_them(
    cluster: Cluster, http: httpx2.Client, measure: Measure
) -> None:
    """The autoscaler adds a pod under load and removes it afterwards; no request fails"""
    # In production, the autoscaler waits five minutes before it removes a pod.
    revision = cluster.patch(SCALE_DOWN_SOON, "test(dev): scale down sooner")
    wait_until_synced(cluster.application, revision=revision)
    release = cluster.deployed_release()
    wait_for("the autoscaler has metrics", lambda: utilization() is not None)
    wait_for("two pods are left", lambda: len(cluster.ready_pods(release)) == 2)
    player = http.post("/api/v1/players", json={"username": f"load-{uuid4().hex[:8]}"})
    with Load(cluster.address, player.json()["player_id"]) as load:
        started = time.monotonic()
        wait_for("there is a third pod", lambda: len(cluster.ready_pods(release)) == 3, 120)
        measure(
            f"a third pod is ready after {time.monotonic() - started:.0f} s "
            f"at {utilization()} % of the requested CPU time"
        )
    ended = time.monotonic()
    wait_for("the third pod is removed", lambda: len(cluster.pods()) == 2, 120)
    measure(f"removed {time.monotonic() - ended:.0f} s after the load")
    measure(f"{load.answered} reads of a player, {load.failed} failed")
    assert load.failed == 0
    wait_until_synced(cluster.application, revision=cluster.revert())


def utilization() -> int | None:
    """The mean CPU time of the pods in percent of what they request, if it is known."""
    for metric in get("horizontalpodautoscalers", "game-api")["status"].get("currentMetrics") or ():
        if "averageUtilization" in metric.get("resource", {}).get("current", {}):
            return int(metric["resource"]["current"]["averageUtilization"])
    return None


class Load:
    """Reads of a player, as many as eight connections get, until the `with` block ends.

    The client and the database do little for a request, so that most of the CPU time is that of
    the pods. The requests take turns among all principals, because each has a limit.
    """

    def __init__(self, address: str, player_id: str) -> None:
        self.host = address.removeprefix("http://")
        self.path = f"/api/v1/players/{player_id}"
        self.answered = self.failed = 0
        self._tokens = itertools.cycle(get_tokens("admin") + get_tokens("server"))
        self._stopping = False
        self._threads = [threading.Thread(target=self._run) for _ in range(8)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stopping:
            # Each connection reaches one pod.
            connection = HTTPConnection(self.host, timeout=10)
            try:
                for _ in range(20):
                    headers = {"Authorization": f"Bearer {next(self._tokens)}"}
                    connection.request("GET", self.path, headers=headers)
                    response = connection.getresponse()
                    response.read()
                    if response.status == 200:
                        self.answered += 1
                    else:
                        self.failed += 1
            except (OSError, HTTPException):
                self.failed += 1
            connection.close()
