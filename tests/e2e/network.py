"""The addresses of the cluster, and the Linux namespaces that it runs in.

The network, mounts and processes of the cluster are in namespaces of their own. They disappear
when the first process of the namespaces ends, even if it is killed.
"""

from tests.e2e.processes import run

# These addresses are from the range for benchmarks (RFC 2544, 198.18.0.0/15), which no network
# routes.
VPC = "198.18.0.0/16"
GATEWAY, OUTSIDE = "198.18.0.1", "198.18.0.2"
"""The two ends of the veth pair that connects the cluster to the machine around it."""
HOST, PODS = "198.18.1.1", "198.18.1.0/24"
"""The bridge that connects the pods. The node and the simulated AWS services listen on HOST."""
SECOND_DATABASE_HOST = "198.18.1.254"
"""Another address of the bridge, for the test that changes the database's endpoint."""
SERVICES = "198.18.2.0/24"
PROVIDER = "198.19.0.1"
"""The address of the identity provider. It is outside of the VPC, as on the internet."""
BRIDGE = "cni0"
POD_IDENTITY_AGENT = "169.254.170.23"
"""The address at which pods on EKS reach the agent that issues their credentials."""

CLOSING_STATES = ("syn_sent", "fin_wait", "close_wait", "last_ack", "time_wait", "close")
"""The states of tracked connections that are not established, or no longer."""

TMPFS_DIRECTORIES = ("/run", "/var/lib/cni", "/var/log/containers", "/var/log/pods")
"""Directories that containerd, CNI and the kubelet write to regardless of their configuration."""


def enter() -> None:
    """Set up the network and the mounts. Call this in the first process of the namespaces."""
    for folder in TMPFS_DIRECTORIES:
        run("mkdir", "-p", folder)
        run("mount", "-t", "tmpfs", "tmpfs", folder)
    run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    # A client may reuse the port of a closed connection, at once if the pod has closed it. By
    # default the kernel tracks a closed connection for up to two minutes, and would send the new
    # connection to the same pod, even if that pod no longer exists.
    run("conntrack", "--count")  # makes the kernel load connection tracking
    for state in CLOSING_STATES:
        run("sysctl", "-qw", f"net.netfilter.nf_conntrack_tcp_timeout_{state}=5")
    run("ip", "link", "set", "lo", "up")
    for address in (POD_IDENTITY_AGENT, PROVIDER):
        run("ip", "address", "add", f"{address}/32", "dev", "lo")
    # Without a fixed MAC address the bridge takes that of a pod, and changes it when the pod ends.
    run("ip", "link", "add", BRIDGE, "address", "02:00:c6:12:01:01", "type", "bridge")
    for address in (HOST, SECOND_DATABASE_HOST):
        run("ip", "address", "add", f"{address}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    # The kernel needs a route to a Service's address before kube-proxy's rules can rewrite it.
    run("ip", "route", "add", SERVICES, "dev", BRIDGE)


def connect(process: int) -> None:
    """Connect the machine to the network namespace of a process with a veth pair."""
    inside = ("nsenter", f"--net=/proc/{process}/ns/net", "ip")
    outer, inner = "game-api-e2e", "outside"
    run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", str(process))
    run(*inside, "address", "add", f"{GATEWAY}/24", "dev", inner)
    run(*inside, "link", "set", inner, "up")
    run("ip", "address", "add", f"{OUTSIDE}/24", "dev", outer)
    run("ip", "link", "set", outer, "up")
    for destination in (VPC, PROVIDER):
        run("ip", "route", "add", destination, "via", GATEWAY)
