"""The complete cluster: Kubernetes, Argo CD, AWS, DocumentDB, an identity provider, and the root
Application.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from tests.e2e.argocd import NAMESPACE as ARGOCD
from tests.e2e.argocd import refresh, running_argocd
from tests.e2e.aws import REGION, Aws, running_aws
from tests.e2e.control_plane import NAMESPACE, apply, get, items, kubectl, running_control_plane
from tests.e2e.database import USER, Database, running_database
from tests.e2e.network import HOST, PROVIDER, VPC
from tests.e2e.node import Node, running_containerd, running_node
from tests.e2e.oidc import (
    AUDIENCE,
    ISSUER,
    JWKS_URL,
    ROLES,
    ROLES_CLAIM,
    ROLES_PREFIX,
    Provider,
    Tokens,
    running_provider,
    trust,
)
from tests.e2e.paths import CHECKOUT, RELEASES, REMOTE, ROOT, RUN
from tests.e2e.processes import enter_concurrently, print_progress, run, wait_for
from tests.e2e.releases import REGISTRY, git

POD_SELECTOR = "app.kubernetes.io/name=game-api,app.kubernetes.io/component=api"
CLUSTER_SECRET = "in-cluster"  # checkov:skip=CKV_SECRET_6:the name of a Secret
"""The Secret in which Argo CD keeps the cluster's environment (a label) and facts (annotations)."""
JWKS_CIDR = f"{PROVIDER}/32"
"""The fact that opens the NetworkPolicy of the service for the identity provider."""


class Cluster:
    """The operations that tests run on the cluster, and the state that they inspect."""

    def __init__(
        self, node: Node, aws: Aws, database: Database, provider: Provider, secret_arn: str
    ) -> None:
        self.node = node
        self.aws = aws
        self.database = database
        self.provider = provider
        self.secret_arn = secret_arn
        self.releases: dict[str, str] = json.loads(RELEASES.read_text())
        self.tokens = {role: Tokens(role) for role in ROLES}

    @property
    def environment(self) -> str:
        return str(get("secrets", CLUSTER_SECRET, ARGOCD)["metadata"]["labels"]["environment"])

    @property
    def application(self) -> str:
        return f"game-api-{self.environment}"

    @property
    def address(self) -> str:
        """The URL of the Service, by its cluster IP."""
        return f"http://{get('services', 'game-api')['spec']['clusterIP']}"

    def client(self, role: str = "admin") -> httpx2.Client:
        """An HTTP client of the Service, whose requests have tokens with this role."""
        tokens = self.tokens[role]
        return httpx2.Client(base_url=self.address, auth=tokens, verify=trust(), timeout=10)

    def fetch(self, path: str, headers: dict[str, str] | None = None) -> httpx2.Response:
        """Send a GET request as an administrator, on a connection of its own."""
        with self.client() as client:
            return client.get(path, headers=headers)

    def make(self, *arguments: str) -> str:
        """Run make in CHECKOUT with the virtual environment of this repository."""
        environment = ROOT / ".venv"
        # --old-file keeps make from reinstalling the environment.
        options = (f"--old-file={environment}/base", f"VENV={environment}")
        return run("make", "--no-print-directory", "-C", CHECKOUT, *options, *arguments)

    def push(self) -> str:
        """Push the checkout to main, make Argo CD check it, and return the revision."""
        git("push", "--quiet", "origin", "HEAD:main")
        return self.refresh()

    def refresh(self) -> str:
        """Pull main, make Argo CD check it, and return the revision."""
        git("pull", "--quiet", "--ff-only")
        refresh("root", self.application)
        return git("rev-parse", "HEAD")

    def bump(self, release: str) -> str:
        """Deploy a release to dev with `make bump`, and return the revision."""
        print_progress(self.make("bump", "ENV=dev", f"TAG={self.releases[release]}").strip())
        return self.refresh()

    def revert(self) -> str:
        """Revert the last commit, push, and return the revision."""
        git("revert", "--no-edit", "HEAD")
        return self.push()

    def set_fact(self, name: str, value: str) -> None:
        """Change a fact of the cluster as Terraform does: an annotation of its Secret."""
        kubectl(
            "annotate", "secret", CLUSTER_SECRET, "-n", ARGOCD, "--overwrite", f"{name}={value}"
        )

    def deployed_release(self) -> str:
        """The name of the release in the Deployment."""
        template = get("deployments", "game-api")["spec"]["template"]["spec"]
        tag = template["containers"][0]["image"].rpartition(":")[2]
        return next(name for name, sha in self.releases.items() if sha == tag)

    def is_served(self) -> bool:
        """Return whether the Service answers a request."""
        try:
            return httpx2.get(f"{self.address}/health", timeout=5).status_code == 200
        except (KeyError, httpx2.HTTPError):
            return False

    def pods(self) -> list[dict[str, Any]]:
        """Return the service's pods that are not terminating."""
        return [
            pod for pod in items("pods", POD_SELECTOR) if "deletionTimestamp" not in pod["metadata"]
        ]

    def ready_pods(self, release: str) -> list[str]:
        """Return the names of the ready pods of a release."""
        return [
            pod["metadata"]["name"]
            for pod in self.pods()
            if pod["spec"]["containers"][0]["image"].endswith(self.releases[release])
            and is_ready(pod)
        ]

    def restarts(self) -> dict[str, int]:
        """The restart count of each pod's container."""
        return {
            pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"]
            for pod in self.pods()
        }

    def config_map_name(self) -> str:
        """Return the name of the ConfigMap that all pods read their settings from."""
        names = {
            str(pod["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"])
            for pod in self.pods()
        }
        assert len(names) == 1
        return names.pop()

    def wait_for_terminating_pods(self) -> None:
        """Wait until all terminating pods are gone."""
        wait_for(
            "the old pods are gone", lambda: len(items("pods", POD_SELECTOR)) == len(self.pods())
        )

    def wait_for_rollout(self, release: str, seconds: float = 120) -> None:
        """Wait until all replicas of the Deployment are ready and run this release."""

        def is_complete() -> bool:
            deployment = get("deployments", "game-api")
            replicas = deployment.get("spec", {}).get("replicas", 0)
            ready = len(self.ready_pods(release))
            return bool(0 < replicas == ready == len(self.pods()))

        wait_for(f"all pods run release {release}", is_complete, seconds)


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Run a cluster of the dev environment, in which Argo CD has started its first sync."""
    with (
        running_containerd() as image_import,
        running_control_plane(),
        running_provider() as provider,
        enter_concurrently(running_argocd(), running_aws(), running_database()) as services,
        running_node(image_import) as node,
    ):
        _, aws, database = services
        secret_arn = aws.create_secret(USER, database.rotate_password())
        cluster = Cluster(node, aws, database, provider, secret_arn)
        apply(*bootstrap_manifests(secret_arn))
        print_progress("the root Application is applied")
        yield cluster


def bootstrap_manifests(secret_arn: str) -> list[dict[str, Any]]:
    """The cluster's Secret, the root project and the root Application, evaluated by Terraform."""
    folder = RUN / "terraform"
    folder.mkdir()
    variables = {
        "repository_url": f"file://{REMOTE}",
        "repository_revision": "main",
        # The charts of these two are on the internet, and both are optional.
        "cluster_autoscaler": False,
        "load_balancer_controller": False,
    }
    facts = {
        "aws_region": REGION,
        "certificate_arn": "arn:aws:acm:eu-central-1:111111111111:certificate/00000000",
        "documentdb_host": HOST,
        "documentdb_secret_arn": secret_arn,
        "ecr_registry": REGISTRY,
        "hostname": "api.game.example",
        "jwks_cidr": JWKS_CIDR,
        "jwks_url": JWKS_URL,
        "jwt_audience": AUDIENCE,
        "jwt_issuer": ISSUER,
        "jwt_roles_claim": ROLES_CLAIM,
        "jwt_roles_prefix": ROLES_PREFIX,
        "vpc_cidr": VPC,
        "vpc_id": "vpc-0123456789abcdef0",
        "web_acl_arn": "none",
    }
    # Replaces the variables and the state that terraform/argocd reads.
    inputs = {
        "variable": {name: {"default": value} for name, value in variables.items()},
        "locals": {"base": {"environment": "dev", "facts": facts}},
    }
    (folder / "bootstrap.tf").write_text((ROOT / "terraform/argocd/bootstrap.tf").read_text())
    (folder / "base.tf.json").write_text(json.dumps(inputs))
    output = run(*("terraform", f"-chdir={folder}", "console"), stdin="jsonencode(local.manifests)")
    manifests: list[dict[str, Any]] = json.loads(json.loads(output))
    return manifests


def set_ingress_address() -> None:
    """Set the address in the Ingress status, as the AWS Load Balancer Controller does."""
    wait_for("the Ingress exists", lambda: get("ingresses", "game-api"), 120)
    status = {"status": {"loadBalancer": {"ingress": [{"hostname": "game-api.elb.example"}]}}}
    kubectl(
        *("patch", "ingress", "game-api", "-n", NAMESPACE, "--subresource=status"),
        *("--type=merge", f"--patch={json.dumps(status)}"),
    )
