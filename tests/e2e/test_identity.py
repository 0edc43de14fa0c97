"""Requests need a token of the identity provider, and pods reach its keys as the policy allows."""

import time

import httpx2
from joserfc import jwt
from joserfc.jwk import KeySet

from game_api.access.published import UNKNOWN_SECONDS
from tests.e2e.argocd import wait_until_synced
from tests.e2e.cluster import JWKS_CIDR, Cluster
from tests.e2e.conftest import Measure
from tests.e2e.control_plane import NAMESPACE, get, kubectl
from tests.e2e.network import HOST, POD_IDENTITY_AGENT, PROVIDER
from tests.e2e.oidc import get_token, new_key
from tests.e2e.processes import succeeds, wait_for
from tests.e2e.traffic import Traffic

ELSEWHERE = "192.0.2.0/32"
"""A fact that opens the NetworkPolicy for nobody."""
PAUSE = UNKNOWN_SECONDS + 1
"""After this many seconds, a pod looks for the unknown key of a token again."""
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def forged_token() -> str:
    """A token that is signed with an unknown key."""
    return jwt.encode({"alg": "RS256"}, {"sub": "eve"}, KeySet([new_key()]))


def ask(pod: str, token: str) -> httpx2.Response:
    """Send a request with this token to one pod."""
    return httpx2.get(
        f"{address_of(pod)}/api/v1/players?limit=1", headers=bearer(token), timeout=10
    )


def address_of(pod: str) -> str:
    return f"http://{get('pods', pod)['status']['podIP']}:8000"


def answers(pod: str) -> bool:
    """Whether the service's process in the pod listens."""
    try:
        return httpx2.get(f"{address_of(pod)}/health", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


def names(cluster: Cluster) -> list[str]:
    return [pod["metadata"]["name"] for pod in cluster.pods()]


def reaches(pod: str, host: str, port: int) -> bool:
    """Whether a process in the pod can open this connection."""
    command = ("python3", "-c", CONNECT, host, str(port))
    return succeeds(kubectl, "exec", "-n", NAMESPACE, pod, "--", *command)


def test_requests_need_a_token(cluster: Cluster) -> None:
    """A request without a token is refused, and a token permits what its role does"""
    url = f"{cluster.address}/api/v1/players"
    without = httpx2.get(url)
    assert (without.status_code, without.json()["code"]) == (401, "unauthenticated")
    assert without.headers["www-authenticate"] == "Bearer"
    assert httpx2.get(url, headers=bearer(forged_token())).status_code == 401
    with cluster.client("server") as server:
        assert server.get("/api/v1/players?limit=1").status_code == 200
        assert server.post("/api/v1/players", json={"username": "eve"}).status_code == 403
    assert httpx2.get(f"{cluster.address}/health").status_code == 200


def test_a_pod_reaches_only_what_its_policy_allows(cluster: Cluster) -> None:
    """A pod reaches the database, AWS and the identity provider, and nothing else"""
    pod = names(cluster)[0]
    for host, port in ((HOST, 27017), (HOST, 443), (POD_IDENTITY_AGENT, 80), (PROVIDER, 443)):
        assert reaches(pod, host, port), f"{host}:{port}"
    for server, port in (("the API server", 6443), ("Argo CD", 8080), ("the kubelet", 10250)):
        assert not reaches(pod, HOST, port), server


def test_a_rotation_of_the_keys_fails_no_request(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """The provider rotates its keys twice: no request fails, and then old tokens are refused"""
    provider = cluster.provider
    downloads = provider.downloads
    with traffic.window() as window:
        for _ in range(2):
            time.sleep(PAUSE)
            old_token = get_token("server")
            old_key = provider.rotate()
            for tokens in cluster.tokens.values():
                tokens.renew()
            traffic.wait_for(list(window.requests))
            provider.withdraw(old_key)
            time.sleep(PAUSE)
            for pod in names(cluster):
                # The unknown key of this token makes the pod fetch the keys.
                assert ask(pod, forged_token()).status_code == 401
                assert ask(pod, old_token).status_code == 401
                assert ask(pod, get_token("server")).status_code == 200
    measure(window.summary())
    measure(f"the pods fetched the keys {provider.downloads - downloads} times")
    assert not window.failed


def test_the_egress_rule_lets_pods_fetch_the_keys(
    cluster: Cluster, traffic: Traffic, measure: Measure
) -> None:
    """Without the egress rule, pods keep their keys; a restarted one gets none until it is back"""
    running, restarted = names(cluster)[:2]
    try:
        cluster.set_fact("jwks_cidr", ELSEWHERE)
        wait_for("the policy is closed", lambda: not reaches(restarted, PROVIDER, 443))
        assert reaches(restarted, HOST, 443)
        with traffic.window() as window:
            wait_for("200 requests are sent", lambda: len(window.requests) > 200)
        measure(f"rule closed: {window.summary()}")
        assert not window.failed
        before = cluster.restarts()
        cluster.node.kill(restarted)
        wait_for("the container is restarted", lambda: cluster.restarts() != before)
        wait_for("the new process answers", lambda: answers(restarted))
        response = ask(restarted, get_token("server"))
        assert (response.status_code, response.json()["code"]) == (503, "keys_unavailable")
        assert int(response.headers["retry-after"]) >= 1
        assert ask(running, get_token("server")).status_code == 200
        measure("restarted pod: 503 keys_unavailable")
    finally:
        cluster.set_fact("jwks_cidr", JWKS_CIDR)
    opened = time.monotonic()
    token = get_token("server")
    wait_for("requests succeed", lambda: ask(restarted, token).status_code == 200, 90)
    measure(f"200 again {time.monotonic() - opened:.0f} s after the rule was opened")
    with traffic.window() as window:
        wait_for("50 requests are sent", lambda: len(window.requests) > 50)
    assert not window.failed
    wait_until_synced(cluster.application)
