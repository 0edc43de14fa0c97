"""The single node of the cluster: containerd with a bridge network, kubelet and kube-proxy.

kube-router enforces the NetworkPolicies, and does nothing else.
"""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.control_plane import get, kubectl
from tests.e2e.network import BRIDGE, HOST, PODS, SERVICES
from tests.e2e.paths import IMAGES, KUBECONFIG, PROGRAMS, RELEASES, RUN
from tests.e2e.processes import Failed, Process, print_progress, run, succeeds
from tests.e2e.releases import PAUSE_IMAGE

NAME = "node1"
FOLDER = RUN / "node"
SOCKET = "/run/containerd/containerd.sock"
"""Where the kubelet looks for the containers whose CPU time it measures."""
CTR_FLAGS = (f"--address={SOCKET}", "--namespace=k8s.io")

CONTAINERD = f"""\
version = 2
root = "{FOLDER}/containerd"
state = "/run/containerd"
[grpc]
address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{FOLDER}/cni"
"""
CNI = {
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "ranges": [[{"subnet": PODS, "gateway": HOST}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
    ],
}
KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "address": HOST,
    "containerRuntimeEndpoint": f"unix://{SOCKET}",
    "podLogsDir": f"{FOLDER}/logs",
    # The kubelet shares the machine with other software, and the machine may not run systemd.
    "cgroupDriver": "cgroupfs",
    "cgroupsPerQOS": False,
    "enforceNodeAllocatable": [],
    "failSwapOn": False,
    "failCgroupV1": False,
    "localStorageCapacityIsolation": False,
    "imageGCHighThresholdPercent": 100,
    "evictionHard": {
        "memory.available": "100Mi",
        "nodefs.available": "1%",
        "imagefs.available": "1%",
    },
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
}
KUBE_PROXY = {
    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
    "kind": "KubeProxyConfiguration",
    "mode": "iptables",
    "clusterCIDR": PODS,
    "hostnameOverride": NAME,
    "clientConnection": {"kubeconfig": str(KUBECONFIG)},
    "conntrack": {"maxPerCore": 0, "min": 0},
}


class Node:
    """The running node. Tests can stop its kubelet and kill its containers."""

    def __init__(self, kubelet: Process) -> None:
        self.kubelet = kubelet

    def kill(self, pod: str) -> None:
        """Send SIGKILL to the service's process in a pod."""
        container = get("pods", pod)["status"]["containerStatuses"][0]["containerID"]
        for line in ctr("tasks", "list").splitlines()[1:]:
            task, process, _ = line.split()
            if container.endswith(task):
                run("kill", "-9", process)
                return
        raise Failed(f"found no process of pod {pod}")


def ctr(*arguments: str) -> str:
    return run("ctr", *CTR_FLAGS, *arguments)


@contextmanager
def running_containerd() -> Iterator[Process]:
    """Run containerd, and yield the process that imports the images once all of them are built."""
    for name, text in (
        ("containerd.toml", CONTAINERD),
        ("cni/10-pods.conflist", json.dumps(CNI)),
        ("kubelet.yaml", json.dumps(KUBELET)),
        ("kube-proxy.yaml", json.dumps(KUBE_PROXY)),
    ):
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text)
    with Process("containerd", "containerd", f"--config={FOLDER}/containerd.toml") as containerd:
        containerd.wait_until("containerd answers", lambda: succeeds(ctr, "version"))
        wait = f"until [ -e {shlex.quote(str(RELEASES))} ]; do sleep 0.2; done"
        import_images = shlex.join(["ctr", *CTR_FLAGS, "images", "import", str(IMAGES)])
        yield Process("images", "sh", "-c", f"{wait}; exec {import_images}").start()


@contextmanager
def running_node(image_import: Process) -> Iterator[Node]:
    """Run the kubelet and kube-proxy after the images are imported, and yield the ready node."""
    image_import.wait()
    print_progress("the images are imported into the node")
    kubelet = Process(
        "kubelet",
        *(PROGRAMS / "kubelet", f"--config={FOLDER}/kubelet.yaml"),
        *(f"--kubeconfig={KUBECONFIG}", f"--root-dir={FOLDER}/kubelet"),
        *(f"--hostname-override={NAME}", f"--node-ip={HOST}"),
    )
    proxy = Process("kube-proxy", PROGRAMS / "kube-proxy", f"--config={FOLDER}/kube-proxy.yaml")
    with kubelet, proxy:
        kubelet.wait_until("the node is ready", _is_ready)
        print_progress("the node is ready")
        with _firewall():
            yield Node(kubelet)


def _firewall() -> Process:
    """The controller that translates NetworkPolicies to rules of iptables.

    It starts after the kubelet, because it looks up its own node.
    """
    return Process(
        "kube-router",
        *(PROGRAMS / "kube-router", f"--kubeconfig={KUBECONFIG}", f"--hostname-override={NAME}"),
        *("--run-firewall=true", "--run-router=false", "--run-service-proxy=false"),
        *("--enable-cni=false", f"--service-cluster-ip-range={SERVICES}"),
        *("--health-port=0", "-v=1"),
    )


def _is_ready() -> bool:
    path = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    return kubectl("get", "nodes", "-o", path) == "True"
