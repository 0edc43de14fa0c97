"""The service recovers from outages by itself, and clients get the documented responses."""

import time
from collections import Counter

from tests.e2e.cluster import Cluster, is_ready
from tests.e2e.conftest import Measure
from tests.e2e.database import USER
from tests.e2e.processes import wait_for
from tests.e2e.traffic import Traffic

POOL_SIZE = 10
"""How many connections a pod opens at most, besides those that monitor the database."""
OUTAGE = 20
"""The length of an outage, in seconds."""
RESPONSE_LIMIT = 5
"""Seconds within which a request gets its response while the database is down, as documented."""


def fullest_pool(cluster: Cluster) -> int:
    """The number of connections of the pod that has most of them."""
    peers = Counter(peer.rpartition(":")[0] for peer in cluster.database.connections())
    return max(peers[pod["status"]["podIP"]] for pod in cluster.pods())


def all_ready(cluster: Cluster) -> bool:
    pods = cluster.pods()
    return len(pods) >= 2 and all(is_ready(pod) for pod in pods)


def test_a_password_rotation_fails_no_request(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """A rotation of the database password restarts no pod and fails no request"""
    before = cluster.restarts()
    addresses = {pod["status"]["podIP"] for pod in cluster.pods()}
    # A pod whose pool is full opens no connection. It closes those that are idle for a minute.
    with traffic.paused():
        wait_for("the pools have room", lambda: fullest_pool(cluster) < POOL_SIZE, 90)
    with traffic.window() as window:
        started = time.monotonic()
        password = cluster.database.rotate_password()
        cluster.aws.change_secret(cluster.secret_arn, USER, password)
        peers = cluster.database.connections()
        old = {peer for peer in peers if peer.rpartition(":")[0] in addresses}
        assert old
        while old & cluster.database.connections():
            # There are more requests than open connections, so the pods open new ones, which need
            # the new password.
            traffic.burst(60)
            assert time.monotonic() - started < 60, "old connections are still open"
        seconds = time.monotonic() - started
    measure(f"all old connections closed after {seconds:.0f} s")
    measure(window.summary())
    assert not window.failed
    assert cluster.restarts() == before


def test_a_killed_pod_loses_no_acknowledged_write(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """A pod killed with SIGKILL loses the requests in progress, but no acknowledged write"""
    before = cluster.restarts()
    victim = next(iter(before))
    with traffic.window() as window:
        cluster.node.kill(victim)
        wait_for("the container is restarted", lambda: cluster.restarts() != before)
        wait_for("all pods are ready", lambda: all_ready(cluster))
    # Connections may break or be refused, but every response is correct.
    outcomes = {request.outcome for request in window.failed}
    assert outcomes <= {"ConnectError", "ReadError", "RemoteProtocolError", "WriteError"}
    assert cluster.restarts() == before | {victim: before[victim] + 1}
    measure(window.summary())
    assert traffic.lost_writes() == []
    with traffic.window() as window:
        wait_for("50 requests are sent", lambda: len(window.requests) > 50)
    assert not window.failed


def test_no_request_fails_while_the_kubelet_is_stopped(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """No request fails while the kubelet is stopped for 20 s, but some may after it is restarted"""
    before = cluster.restarts()
    kubelet = cluster.node.kubelet
    with traffic.window() as stopped:
        kubelet.stop()
        time.sleep(OUTAGE)
    with traffic.window() as returned:
        kubelet.start()
        time.sleep(5)
        wait_for("all pods are ready", lambda: all_ready(cluster))
    measure(f"stopped: {stopped.summary()}")
    measure(f"restarted: {returned.summary()}")
    assert not stopped.failed
    # After its restart the kubelet reports the pods of its node as not ready until it has probed
    # them. All pods are on this node.
    assert {request.outcome for request in returned.failed} <= {"ConnectError"}
    assert cluster.restarts() == before


def test_requests_get_503_while_the_database_is_down(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """The database is down for 20 s: requests soon get 503 database_unavailable, then succeed"""
    before = cluster.restarts()
    with traffic.window() as window:
        with cluster.database.outage():
            time.sleep(OUTAGE)
        restored = time.monotonic()
        wait_for("requests succeed", lambda: requests_succeed(cluster))
    measure(window.summary())
    slowest = max(request.seconds for request in window.failed)
    last = max(request.started + request.seconds for request in window.failed) - restored
    measure(f"slowest failure: {slowest:.1f} s; last failure {last:.1f} s after the restart")
    for request in window.failed:
        assert request.response, f"{request.name}: {request.outcome}"
        assert request.response.status_code == 503, request.response.text
        assert request.response.json()["code"] == "database_unavailable"
        assert int(request.response.headers["retry-after"]) >= 1
        assert request.seconds < RESPONSE_LIMIT + 1  # the machine may be busy
    assert cluster.restarts() == before
    assert all_ready(cluster)
    assert traffic.lost_writes() == []


def requests_succeed(cluster: Cluster) -> bool:
    responses = [cluster.fetch("/api/v1/players?limit=1") for _ in range(8)]
    return all(response.status_code == 200 for response in responses)


def log_delivery_status(cluster: Cluster) -> str:
    """The status of the `logs` component in one of the pods."""
    detailed = cluster.fetch("/health/detailed")
    assert detailed.status_code == 200
    return str(detailed.json()["components"]["logs"]["status"])


def send_request(cluster: Cluster) -> str:
    """Send a request and return its request id."""
    response = cluster.fetch("/api/v1/players?limit=1")
    assert response.status_code == 200
    return str(response.headers["x-request-id"])


def is_logged(cluster: Cluster, request_id: str) -> bool:
    return any(line.get("request_id") == request_id for line in cluster.aws.log_lines())


def test_an_aws_outage_fails_no_request_and_loses_no_log_line(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """Secrets Manager and CloudWatch are unreachable: no request fails, and no log line is lost"""
    before = cluster.restarts()
    with traffic.window() as window:
        with cluster.aws.outage():
            wait_for("logs are degraded", lambda: log_delivery_status(cluster) == "degraded")
            request_id = send_request(cluster)
        wait_for("the logs of the outage arrive", lambda: is_logged(cluster, request_id))
        wait_for("logs are ok", lambda: log_delivery_status(cluster) == "ok")
    measure(window.summary())
    assert not window.failed
    assert cluster.restarts() == before
