"""metrics-server, from which the autoscaler learns how much CPU time the pods use."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.control_plane import apply
from tests.e2e.network import HOST
from tests.e2e.paths import KUBECONFIG, PROGRAMS, RUN
from tests.e2e.processes import Process, print_progress

PORT = 4443
NAME, NAMESPACE = "metrics-server", "kube-system"
METADATA = {"name": NAME, "namespace": NAMESPACE}


@contextmanager
def running_metrics_server() -> Iterator[None]:
    """Run metrics-server, which the API server reaches as metrics.k8s.io. It needs a node."""
    apply(*_registration())
    server = Process(
        "metrics-server",
        *(PROGRAMS / "metrics-server", f"--secure-port={PORT}", f"--bind-address={HOST}"),
        *(f"--kubeconfig={KUBECONFIG}", f"--authentication-kubeconfig={KUBECONFIG}"),
        *(f"--authorization-kubeconfig={KUBECONFIG}", f"--cert-dir={RUN}/metrics-server"),
        *("--kubelet-insecure-tls", "--kubelet-preferred-address-types=InternalIP"),
        # The default is 60 s; this is the shortest that is allowed.
        *("--metric-resolution=10s", "--kubelet-request-timeout=5s"),
    )
    # The first metrics come half a minute later, while the service starts.
    with server:
        print_progress("metrics-server is running")
        yield


def _registration() -> list[dict[str, Any]]:
    """A Service without a selector, its address, and the API that it serves."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": METADATA,
        "spec": {"ports": [{"name": "https", "port": 443, "targetPort": PORT}]},
    }
    address = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": METADATA | {"labels": {"kubernetes.io/service-name": NAME}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": PORT}],
        "endpoints": [{"addresses": [HOST]}],
    }
    api = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": METADATA,
        },
    }
    return [service, address, api]
