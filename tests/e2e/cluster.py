"""All of it together: Kubernetes, Argo CD, AWS, DocumentDB, and this repository as its root."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.e2e.argocd import NAMESPACE as ARGOCD
from tests.e2e.argocd import argocd, refresh
from tests.e2e.aws import REGION, Aws, aws
from tests.e2e.control_plane import NAMESPACE, apply, control_plane, get, items, kubectl
from tests.e2e.database import USER, Database, database
from tests.e2e.network import HOST, VPC
from tests.e2e.node import Node, node, runtime
from tests.e2e.paths import CHECKOUT, RELEASES, REMOTE, ROOT, RUN
from tests.e2e.processes import run, say, together, wait_for
from tests.e2e.releases import REGISTRY, git

PODS = "app.kubernetes.io/name=game-api,app.kubernetes.io/component=api"
SECRET = "in-cluster"  # checkov:skip=CKV_SECRET_6:the name of a Secret


class Cluster:
    """What a test acts on, and what it sees of it."""

    def __init__(self, node: Node, aws: Aws, database: Database, secret_arn: str) -> None:
        self.node = node
        self.aws = aws
        self.database = database
        self.secret_arn = secret_arn
        self.releases: dict[str, str] = json.loads(RELEASES.read_text())

    @property
    def environment(self) -> str:
        return str(get("secrets", SECRET, ARGOCD)["metadata"]["labels"]["environment"])

    @property
    def application(self) -> str:
        return f"game-api-{self.environment}"

    @property
    def address(self) -> str:
        """Where the Service answers."""
        return f"http://{get('services', 'game-api')['spec']['clusterIP']}"

    def make(self, *arguments: str) -> str:
        """One of the repository's own commands, in a clone of it, with our virtual environment."""
        environment = ROOT / ".venv"
        kept = (f"--old-file={environment}/base", f"VENV={environment}")
        return run("make", "--no-print-directory", "-C", CHECKOUT, *kept, *arguments)

    def push(self) -> str:
        """Push main, and have Argo CD look at it; the revision."""
        git("push", "--quiet", "origin", "HEAD:main")
        return self.refresh()

    def refresh(self) -> str:
        git("pull", "--quiet", "--ff-only")
        refresh("root", self.application)
        return git("rev-parse", "HEAD")

    def bump(self, release: str) -> str:
        """Deploy a release to dev; the revision that says so."""
        say(self.make("bump", "ENV=dev", f"TAG={self.releases[release]}").strip())
        return self.refresh()

    def revert(self) -> str:
        """Take back the last commit; the revision that does."""
        git("revert", "--no-edit", "HEAD")
        return self.push()

    def set_fact(self, name: str, value: str) -> None:
        """What Terraform does when a fact has changed."""
        kubectl("annotate", "secret", SECRET, "-n", ARGOCD, "--overwrite", f"{name}={value}")

    def deployed(self) -> str:
        """The release that the Deployment has."""
        template = get("deployments", "game-api")["spec"]["template"]["spec"]
        tag = template["containers"][0]["image"].rpartition(":")[2]
        return next(name for name, sha in self.releases.items() if sha == tag)

    def is_served(self) -> bool:
        """Whether whoever asks the Service gets an answer."""
        try:
            return httpx2.get(f"{self.address}/health", timeout=5).status_code == 200
        except (KeyError, httpx2.HTTPError):
            return False

    def pods(self) -> list[dict[str, Any]]:
        """The service's pods that are not ending."""
        return [pod for pod in items("pods", PODS) if "deletionTimestamp" not in pod["metadata"]]

    def pods_of(self, release: str) -> list[str]:
        """The pods that are ready with this release."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods()
            if pod["spec"]["containers"][0]["image"].endswith(self.releases[release])
            and is_ready(pod)
        ]

    def wait_until_others_have_ended(self) -> None:
        """Wait until the pods that were asked to end have done so."""
        wait_for("the old pods have ended", lambda: len(items("pods", PODS)) == len(self.pods()))

    def wait_until_all_are(self, release: str, seconds: float = 120) -> None:
        """Wait until every pod is of this release and ready, and there are enough of them."""

        def done() -> bool:
            deployment = get("deployments", "game-api")
            wanted = deployment.get("spec", {}).get("replicas", 0)
            ready = len(self.pods_of(release))
            return bool(0 < wanted == ready == len(self.pods()))

        wait_for(f"all pods are {release}", done, seconds)


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster, dev's, in which Argo CD has just begun to sync this repository."""
    with (
        runtime() as images,
        control_plane(),
        together(argocd(), aws(), database()) as (_, amazon, documentdb),
        node(images) as machine,
    ):
        secret_arn = amazon.create_secret(USER, documentdb.rotate_password())
        playing = Cluster(machine, amazon, documentdb, secret_arn)
        apply(*bootstrap(secret_arn))
        say("Argo CD has its root Application")
        yield playing


def bootstrap(secret_arn: str) -> list[dict[str, Any]]:
    """The cluster's Secret, the root project and the root Application, as Terraform writes them."""
    folder = RUN / "terraform"
    folder.mkdir()
    variables = {
        "repository_url": f"file://{REMOTE}",
        "repository_revision": "main",
        # The controller's chart is on the internet; a cluster may do without.
        "load_balancer_controller": False,
    }
    facts = {
        "aws_region": REGION,
        "certificate_arn": "arn:aws:acm:eu-central-1:111111111111:certificate/00000000",
        "documentdb_host": HOST,
        "documentdb_secret_arn": secret_arn,
        "ecr_registry": REGISTRY,
        "hostname": "api.game.example",
        "vpc_cidr": VPC,
        "vpc_id": "vpc-0123456789abcdef0",
    }
    stand_in = {
        "variable": {name: {"default": value} for name, value in variables.items()},
        "locals": {"base": {"environment": "dev", "facts": facts}},
    }
    (folder / "bootstrap.tf").write_text((ROOT / "terraform/argocd/bootstrap.tf").read_text())
    (folder / "base.tf.json").write_text(json.dumps(stand_in))
    printed = run(
        *("terraform", f"-chdir={folder}", "console"), stdin="jsonencode(local.manifests)"
    )
    manifests: list[dict[str, Any]] = json.loads(json.loads(printed))
    return manifests


def answer_for_the_load_balancer() -> None:
    """Write into the Ingress what the AWS Load Balancer Controller does when it has made one."""
    wait_for("there is an Ingress", lambda: get("ingresses", "game-api"), 120)
    status = {"status": {"loadBalancer": {"ingress": [{"hostname": "game-api.elb.example"}]}}}
    kubectl(
        *("patch", "ingress", "game-api", "-n", NAMESPACE, "--subresource=status"),
        *("--type=merge", f"--patch={json.dumps(status)}"),
    )
