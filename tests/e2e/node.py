"""One real node: containerd with a bridge for its pods, kubelet, kube-proxy."""

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.control_plane import get, kubectl
from tests.e2e.network import BRIDGE, HOST, PODS
from tests.e2e.paths import IMAGES, KUBECONFIG, PROGRAMS, RELEASES, RUN
from tests.e2e.releases import PAUSE
from tests.e2e.processes import Failed, Process, run, say, succeeds

NAME = "node1"
FOLDER = RUN / "node"
SOCKET = FOLDER / "containerd.sock"
TO_CONTAINERD = (f"--address={SOCKET}", "--namespace=k8s.io")

CONTAINERD = f"""\
version = 2
root = "{FOLDER}/containerd"
state = "/run/containerd"
[grpc]
address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
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
    # Only what a kubelet beside others on a machine without systemd needs.
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
    """The node; its kubelet can be stopped, and what runs on it killed."""

    def __init__(self, kubelet: Process) -> None:
        self.kubelet = kubelet

    def kill(self, pod: str) -> None:
        """kill -9 the service in a pod."""
        container = get("pods", pod)["status"]["containerStatuses"][0]["containerID"]
        for line in ctr("tasks", "list").splitlines()[1:]:
            task, process, _ = line.split()
            if container.endswith(task):
                run("kill", "-9", process)
                return
        raise Failed(f"{pod} has no process")


def ctr(*arguments: str) -> str:
    return run("ctr", *TO_CONTAINERD, *arguments)


@contextmanager
def runtime() -> Iterator[Process]:
    """containerd, and the process that gives it the images once there are all of them."""
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
        take = shlex.join(["ctr", *TO_CONTAINERD, "images", "import", str(IMAGES)])
        wait = f"until [ -e {shlex.quote(str(RELEASES))} ]; do sleep 0.2; done"
        yield Process("images", "sh", "-c", f"{wait}; exec {take}").start()


@contextmanager
def node(images: Process) -> Iterator[Node]:
    """A node that is ready, and has the images."""
    images.wait()
    say("the node has the images")
    kubelet = Process(
        "kubelet",
        *(PROGRAMS / "kubelet", f"--config={FOLDER}/kubelet.yaml"),
        *(f"--kubeconfig={KUBECONFIG}", f"--root-dir={FOLDER}/kubelet"),
        *(f"--hostname-override={NAME}", f"--node-ip={HOST}"),
    )
    proxy = Process("kube-proxy", PROGRAMS / "kube-proxy", f"--config={FOLDER}/kube-proxy.yaml")
    with kubelet, proxy:
        kubelet.wait_until("the node is ready", _is_ready)
        say("the node is ready")
        yield Node(kubelet)


def _is_ready() -> bool:
    path = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    return kubectl("get", "nodes", "-o", path) == "True"
