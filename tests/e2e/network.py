"""The addresses of the cluster, and the machine of its own that it believes to have.

All of it runs in namespaces of Linux: its network, its mounts and its processes are nobody
else's, and are gone with the first process in them, however that ends.
"""

from tests.e2e.processes import run

# Of the range for benchmarks (RFC 2544), which no network routes.
VPC = "198.18.0.0/16"
GATEWAY, OUTSIDE = "198.18.0.1", "198.18.0.2"
"""The two ends of the wire from the cluster to the machine around it."""
HOST, PODS = "198.18.1.1", "198.18.1.0/24"
"""The node, and what plays AWS, as pods reach them: at the bridge to which pods are connected."""
OTHER_HOST = "198.18.1.254"
"""The same, for a database that has moved."""
SERVICES = "198.18.2.0/24"
BRIDGE = "cni0"
POD_IDENTITY_AGENT = "169.254.170.23"
"""Where pods on EKS find the agent that has their credentials."""

IN_MEMORY = ("/run", "/var/lib/cni", "/var/log/containers", "/var/log/pods")
"""Where containerd, CNI and the kubelet leave files, whatever they are told."""


def enter() -> None:
    """Make the network and the mounts, as the first process of the namespaces."""
    for folder in IN_MEMORY:
        run("mkdir", "-p", folder)
        run("mount", "-t", "tmpfs", "tmpfs", folder)
    run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    # A connection's port may be taken again a minute after its end, and the kernel, which remembers
    # for two, would send the new one where the old one went, were it to a pod that is no more.
    run("conntrack", "--count")  # has the kernel load what remembers
    run("sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_timeout_time_wait=30")
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{POD_IDENTITY_AGENT}/32", "dev", "lo")
    # With an address of its own: otherwise it takes one of its pods', and another when that ends.
    run("ip", "link", "add", BRIDGE, "address", "02:00:c6:12:01:01", "type", "bridge")
    for address in (HOST, OTHER_HOST):
        run("ip", "address", "add", f"{address}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    # kube-proxy gives a Service's address its meaning only after the kernel has found a way to it.
    run("ip", "route", "add", SERVICES, "dev", BRIDGE)


def connect(process: int) -> None:
    """Lay the wire from the machine around it to the namespaces of a process."""
    inside = ("nsenter", f"--net=/proc/{process}/ns/net", "ip")
    outer, inner = "game-api-e2e", "outside"
    run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", str(process))
    run(*inside, "address", "add", f"{GATEWAY}/24", "dev", inner)
    run(*inside, "link", "set", inner, "up")
    run("ip", "address", "add", f"{OUTSIDE}/24", "dev", outer)
    run("ip", "link", "set", outer, "up")
    run("ip", "route", "add", VPC, "via", GATEWAY)
