"""The complete cluster: Kubernetes, Argo CD, AWS, DocumentDB, an identity provider, and the root
Application.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from gitops import overlay
from tests.e2e.argocd import ADDRESS
from tests.e2e.argocd import NAMESPACE as ARGOCD
from tests.e2e.argocd import refresh, running_argocd
from tests.e2e.aws import REGION, Aws, running_aws
from tests.e2e.control_plane import NAMESPACE, apply, get, items, kubectl, running_control_plane
from tests.e2e.database import USER, Database, running_database
from tests.e2e.metrics import running_metrics_server
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
from tests.e2e.paths import CHECKOUT, RELEASES, ROOT
from tests.e2e.processes import enter_concurrently, print_progress, run, wait_for
from tests.e2e.releases import REGISTRY, REPOSITORY, git
from tests.e2e.repository import GITHUB_PORT, REPOSITORY_URL, running_repository
from tests.e2e.terraform import evaluate
from tests.e2e.webhook import URL as WEBHOOK
from tests.e2e.webhook import Message, Messages, running_webhook
from tests.github import GitHub

POD_SELECTOR = "app.kubernetes.io/name=game-api,app.kubernetes.io/component=api"
CLUSTER_SECRET = "in-cluster"  # checkov:skip=CKV_SECRET_6:the name of a Secret
"""The Secret in which Argo CD keeps the cluster's environment (a label) and facts (annotations)."""
DEV = "apps/game-api/overlays/dev/kustomization.yaml"
LAST_PATCH = "path: /spec/maxReplicas\n        value: 3\n"
"""The end of that file, after which tests add patches."""
JWKS_CIDR = f"{PROVIDER}/32"
"""The fact that opens the NetworkPolicy of the service for the identity provider."""


class Cluster:
    """The operations that tests run on the cluster, and the state that they inspect."""

    def __init__(
        self,
        node: Node,
        aws: Aws,
        database: Database,
        provider: Provider,
        secret_arn: str,
        messages: Messages,
        github: GitHub,
    ) -> None:
        self.node = node
        self.aws = aws
        self.database = database
        self.provider = provider
        self.secret_arn = secret_arn
        self.messages = messages
        self.github = github
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
        return run(
            *("make", "--no-print-directory", "-C", str(CHECKOUT), *options, *arguments),
            GITHUB_API_URL=self.github.url,
            GH_TOKEN=self.github.token,
        )

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

    def edit(self, path: str, old: str, new: str, message: str) -> str:
        """Replace a text in a file of the repository, push the commit, and return the revision."""
        file = CHECKOUT / path
        text = file.read_text()
        assert old in text, f"{path} does not contain {old!r}"
        file.write_text(text.replace(old, new, 1))
        git("commit", "--quiet", "--all", f"--message={message}")
        return self.push()

    def merge(self, branch: str, base: str) -> str:
        """Merge a branch as its pull request does, and return the new revision of its base."""
        git("fetch", "--quiet")
        git("push", "--quiet", "origin", f"origin/{branch}:refs/heads/{base}")
        refresh("root", self.application)
        return git("rev-parse", f"origin/{branch}")

    def become(self, environment: str) -> None:
        """Make this the cluster of another environment, as Terraform would install it."""
        branch = overlay.branch(environment)
        source = {"spec": {"source": {"targetRevision": branch}}}
        kubectl(
            *("patch", "application", "root", "-n", ARGOCD, "--type=merge"),
            f"--patch={json.dumps(source)}",
        )
        self.set_fact("repository_revision", branch)
        label = ("label", "secret", CLUSTER_SECRET, "-n", ARGOCD, "--overwrite")
        kubectl(*label, f"environment={environment}")
        application = f"game-api-{environment}"
        wait_for("the new Application exists", lambda: get("applications", application, ARGOCD))

    def patch(self, patch: str, message: str) -> str:
        """Add a patch to the overlay of dev, push the commit, and return the revision."""
        return self.edit(DEV, LAST_PATCH, LAST_PATCH + patch, message)

    def told(self, *words: str, seconds: float = 60) -> Message:
        """Wait for a notification that contains all of the words, and return the newest."""

        def find() -> Message | None:
            found = [m for m in self.messages if all(word in m.text for word in words)]
            return found[-1] if found else None

        return wait_for(f"a notification contains {' and '.join(words)}", find, seconds)

    def commit_status(self, release: str, state: str, seconds: float = 60) -> str:
        """Wait until a release's commit has this newest status. Returns its description."""

        def find() -> str:
            for status in self.github.statuses(REPOSITORY, self.releases[release]):
                if status["context"] == f"argocd/{self.application}":
                    return status["description"] if status["state"] == state else ""
            return ""

        return wait_for(f"the commit of {release} has the status {state}", find, seconds)

    def revert(self) -> str:
        """Revert the last commit, push, and return the revision."""
        git("revert", "--no-edit", "HEAD")
        return self.push()

    def set_fact(self, name: str, value: str) -> None:
        """Change a fact of the cluster as Terraform does: an annotation of its Secret."""
        self._annotate(f"{name}={value}")

    def remove_fact(self, name: str) -> None:
        self._annotate(f"{name}-")

    def _annotate(self, change: str) -> None:
        kubectl("annotate", "secret", CLUSTER_SECRET, "-n", ARGOCD, "--overwrite", change)

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
        running_repository() as github,
        running_webhook() as messages,
        enter_concurrently(
            running_argocd(_evaluate("local.values", "")), running_aws(), running_database()
        ) as services,
        running_node(image_import) as node,
        running_metrics_server(),
    ):
        _, aws, database = services
        secret_arn = aws.create_secret(USER, database.rotate_password())
        cluster = Cluster(node, aws, database, provider, secret_arn, messages, github)
        # The cluster's Secret, the root project and the root Application.
        apply(*_evaluate("local.manifests", secret_arn))
        print_progress("the root Application is applied")
        yield cluster


def _evaluate(expression: str, secret_arn: str) -> Any:
    """The value of an expression in terraform/argocd, with the facts of this cluster."""
    variables = {
        "admin_enabled": True,
        "argocd_url": ADDRESS,
        "github_app_secret_arn": "arn",
        "github_enterprise_url": f"http://{HOST}:{GITHUB_PORT}/api/v3",
        "highly_available": False,
        "notifications_secret_arn": "arn",
        "rbac_policy": "",
        "repository_url": REPOSITORY_URL,
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
    secrets = {
        "webhook_url": WEBHOOK,
        "github_app": {
            "appID": 1,
            "installationID": 2,
            "privateKey": run("openssl", "genrsa", "-traditional", "2048"),
        },
    }
    return evaluate(expression, variables, facts, secrets)


def set_ingress_address() -> None:
    """Set the address in the Ingress status, as the AWS Load Balancer Controller does."""
    wait_for("the Ingress exists", lambda: get("ingresses", "game-api"), 120)
    status = {"status": {"loadBalancer": {"ingress": [{"hostname": "game-api.elb.example"}]}}}
    kubectl(
        *("patch", "ingress", "game-api", "-n", NAMESPACE, "--subresource=status"),
        *("--type=merge", f"--patch={json.dumps(status)}"),
    )
