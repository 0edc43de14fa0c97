"""What fails by itself heals by itself, and clients see what the contract says."""

import time

import httpx2

from tests.e2e.cluster import Cluster, is_ready
from tests.e2e.conftest import Measure
from tests.e2e.database import USER
from tests.e2e.processes import wait_for
from tests.e2e.traffic import Traffic

OUTAGE = 20
"""Seconds."""
LIMIT = 5
"""Seconds in which a request gets its answer without a database, by the contract."""


def restarts(game: Cluster) -> dict[str, int]:
    """How often each pod's container was started again."""
    return {
        pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"]
        for pod in game.pods()
    }


def all_ready(game: Cluster) -> bool:
    pods = game.pods()
    return len(pods) >= 2 and all(is_ready(pod) for pod in pods)


def test_password_rotation(game: Cluster, traffic: Traffic, measured: Measure) -> None:
    """The database's password is rotated: no restart, and no request fails"""
    before = restarts(game)
    addresses = {pod["status"]["podIP"] for pod in game.pods()}
    with traffic.window() as window:
        began = time.monotonic()
        password = game.database.rotate_password()
        game.aws.change_secret(game.secret_arn, USER, password)
        peers = game.database.connections()
        old = {peer for peer in peers if peer.rpartition(":")[0] in addresses}
        assert old
        while old & game.database.connections():
            # More at once than there are connections: the new ones need the new password.
            traffic.burst(60)
            assert time.monotonic() - began < 60, "connections from before are still there"
        took = time.monotonic() - began
    measured(f"no connection from before after {took:.0f} s")
    measured(window.summary())
    assert not window.failed
    assert restarts(game) == before


def test_killed_pod(game: Cluster, traffic: Traffic, measured: Measure) -> None:
    """A pod is killed with -9: its own requests are lost, and nothing that was acknowledged"""
    before = restarts(game)
    victim = next(iter(before))
    with traffic.window() as window:
        game.node.kill(victim)
        wait_for("it is started again", lambda: restarts(game) != before)
        wait_for("it is ready again", lambda: all_ready(game))
    # A connection that ends or is refused: the pod never answers wrongly.
    outcomes = {request.outcome for request in window.failed}
    assert outcomes <= {"ConnectError", "ReadError", "RemoteProtocolError", "WriteError"}
    assert restarts(game) == before | {victim: before[victim] + 1}
    measured(window.summary())
    assert traffic.lost() == []
    with traffic.window() as window:
        wait_for("some requests", lambda: len(window.requests) > 50)
    assert not window.failed


def test_stopped_kubelet(game: Cluster, traffic: Traffic, measured: Measure) -> None:
    """The kubelet is stopped for 20 s: nobody notices until it is back and asks every pod anew"""
    before = restarts(game)
    kubelet = game.node.kubelet
    with traffic.window() as stopped:
        kubelet.stop()
        time.sleep(OUTAGE)
    with traffic.window() as returned:
        kubelet.start()
        time.sleep(5)
        wait_for("the pods are ready", lambda: all_ready(game))
    measured(f"while it was stopped: {stopped.summary()}")
    measured(f"when it came back: {returned.summary()}")
    assert not stopped.failed
    # Until it has asked them, Kubernetes takes the pods of this node, here all, for not ready.
    assert {request.outcome for request in returned.failed} <= {"ConnectError"}
    assert restarts(game) == before


def test_database_away(game: Cluster, traffic: Traffic, measured: Measure) -> None:
    """The database is gone for 20 s: 503 database_unavailable, soon; then all is as before"""
    before = restarts(game)
    with traffic.window() as window:
        with game.database.away():
            time.sleep(OUTAGE)
        back = time.monotonic()
        wait_for("requests are answered", lambda: answered(game))
    measured(window.summary())
    slowest = max(request.seconds for request in window.failed)
    healed = max(request.began + request.seconds for request in window.failed) - back
    measured(f"slowest refusal {slowest:.1f} s; the last one {healed:.1f} s after its return")
    for request in window.failed:
        assert request.answer, f"{request.what}: {request.outcome}"
        assert request.answer.status_code == 503, request.answer.text
        assert request.answer.json()["code"] == "database_unavailable"
        assert int(request.answer.headers["retry-after"]) >= 1
        assert request.seconds < LIMIT + 1  # and what it takes on a busy machine
    assert restarts(game) == before
    assert all_ready(game)
    assert traffic.lost() == []


def answered(game: Cluster) -> bool:
    answers = [httpx2.get(f"{game.address}/api/v1/players?limit=1", timeout=10) for _ in range(8)]
    return all(answer.status_code == 200 for answer in answers)


def logs_of(game: Cluster) -> str:
    """What one of the pods says of its logs."""
    detailed = httpx2.get(f"{game.address}/health/detailed")
    assert detailed.status_code == 200
    return str(detailed.json()["components"]["logs"]["status"])


def read(game: Cluster) -> str:
    """The id of a request."""
    answer = httpx2.get(f"{game.address}/api/v1/players?limit=1")
    assert answer.status_code == 200
    return str(answer.headers["x-request-id"])


def is_logged(game: Cluster, of: str) -> bool:
    return any(line.get("request_id") == of for line in game.aws.log_lines())


def test_aws_away(game: Cluster, traffic: Traffic, measured: Measure) -> None:
    """Secrets Manager and CloudWatch are gone: no request fails, and no line is lost"""
    before = restarts(game)
    with traffic.window() as window:
        with game.aws.away():
            wait_for("it says that logs are not delivered", lambda: logs_of(game) == "degraded")
            during = read(game)
        wait_for("what was logged meanwhile arrives", lambda: is_logged(game, during))
        wait_for("it says that all is well", lambda: logs_of(game) == "ok")
    measured(window.summary())
    assert not window.failed
    assert restarts(game) == before
