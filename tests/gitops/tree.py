"""The manifests as Argo CD applies them: rendered by kubectl, with a cluster's facts."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from gitops import overlay

ROOT = Path(__file__).resolve().parents[2]
CHECKED_PATHS = (
    "apps",
    "clusters",
    "kustomization.yaml",
    ".github",
    "Dockerfile",
    ".dockerignore",
    "terraform",
)
"""The files and folders that the rules and checkov read."""

ISSUER = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbC"

FACTS = {
    "aws_region": "eu-central-1",
    "certificate_arn": "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b2c3d",
    "documentdb_host": "game-session-db.cluster-abc.eu-central-1.docdb.amazonaws.com",
    "documentdb_secret_arn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf",
    "ecr_registry": "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
    "hostname": "api.game.example",
    "jwks_cidr": "0.0.0.0/0",
    "jwks_url": f"{ISSUER}/.well-known/jwks.json",
    "jwt_audience": "1a2b3c,4d5e6f,7a8b9c",
    "jwt_issuer": ISSUER,
    "jwt_roles_claim": "scope",
    "jwt_roles_prefix": "game-api/",
    "repository_revision": "main",
    "repository_url": "https://git.example/game/game-api.git",
    "vpc_cidr": "10.20.0.0/16",
    "vpc_id": "vpc-0a1b2c3d",
    "web_acl_arn": "arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/game-session/0a1b2c3d",
}
"""Example facts. Terraform writes them to the annotations of the cluster's Secret in Argo CD."""

Manifest = dict[str, Any]

_TEMPLATE_ACTION = re.compile(r"\{\{\s*(\.[\w.]+)\s*(\|\s*quote\s*)?\}\}")


def requires(program: str, hint: str) -> str:
    """The program's path. If it is missing, the test is skipped; in CI it fails."""
    path = shutil.which(program)
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{program} is missing: {hint}")
    return path


class Tree:
    """The repository at `root`. Rendered manifests are cached."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.render = cache(self._render)
        self.application = cache(self._application)

    def _render(self, folder: str) -> list[Manifest]:
        """The manifests of a kustomization. `folder` is relative to the root."""
        return self._kustomize(self.root / folder)

    def _kustomize(self, folder: Path) -> list[Manifest]:
        kubectl = requires("kubectl", "https://kubernetes.io/docs/tasks/tools/")
        result = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return [manifest for manifest in yaml.safe_load_all(result.stdout) if manifest]

    def overlay(self, environment: str) -> list[Manifest]:
        return self.render(f"apps/game-api/overlays/{environment}")

    def _application(self, environment: str) -> list[Manifest]:
        """The manifests that Argo CD applies: the overlay with the cluster's facts."""
        source = self.template("game-api", environment)["spec"]["source"]
        options = source["kustomize"]
        images = []
        for image in options["images"]:
            name, new = image.split("=")
            assert new.endswith(":*"), "the ApplicationSet must keep the tag of the base"
            images.append({"name": name, "newName": new.removesuffix(":*")})
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.relpath(self.root.resolve() / source["path"], Path(folder).resolve())
            kustomization = {"resources": [path], "images": images, "patches": options["patches"]}
            Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
            return self._kustomize(Path(folder))

    def template(self, application_set: str, environment: str) -> Manifest:
        """The Application that the ApplicationSet generates. An unknown fact raises KeyError."""
        cluster = {
            "server": "https://kubernetes.default.svc",
            "metadata": {"annotations": FACTS, "labels": {"environment": environment}},
        }

        def replace(action: re.Match[str]) -> str:
            value: Any = cluster
            for name in action[1].strip(".").split("."):
                value = value[name]
            return json.dumps(value) if action[2] else str(value)

        def resolve(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: resolve(item) for key, item in value.items()}
            if isinstance(value, list):
                return [resolve(item) for item in value]
            return _TEMPLATE_ACTION.sub(replace, value) if isinstance(value, str) else value

        manifest = find_one(self.render("."), "ApplicationSet", application_set)
        application: Manifest = resolve(manifest["spec"]["template"])
        assert "{{" not in str(application), "these tests do not support that template action"
        return application

    def all_manifests(self) -> Iterator[tuple[str, list[Manifest]]]:
        """The root kustomization and each environment's Application: a name and the manifests."""
        yield "root", self.render(".")
        for environment in overlay.ENVIRONMENTS:
            yield environment, self.application(environment)

    def text(self, path: str) -> str:
        return (self.root / path).read_text()

    def workflows(self) -> dict[str, Manifest]:
        """The GitHub workflows, by file name without `.yaml`."""
        workflows: dict[str, Manifest] = {}
        for file in sorted((self.root / ".github/workflows").glob("*.yaml")):
            workflow = yaml.safe_load(file.read_text())
            workflow["on"] = workflow.pop(True)  # YAML 1.1 reads the key `on` as true.
            workflows[file.stem] = workflow
        return workflows

    def copy(self, folder: Path) -> "Tree":
        """Copy the tree to a folder, so that a test can change it."""
        for path in CHECKED_PATHS:
            source = self.root / path
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, folder / path)
        return Tree(folder)


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def find_one(manifests: list[Manifest], kind: str, name: str | None = None) -> Manifest:
    """The only manifest with this kind, and with this name if one is given."""
    found = [
        manifest
        for manifest in of_kind(manifests, kind)
        if name is None or manifest["metadata"]["name"] == name
    ]
    assert len(found) == 1, f"found {len(found)} manifests of {kind} {name or ''}"
    return found[0]


def pod_templates(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """`Kind/name` and the pod template of every Deployment and Job."""
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "Job"):
            name = f"{manifest['kind']}/{manifest['metadata']['name']}"
            yield name, manifest["spec"]["template"]


def containers(template: Manifest) -> list[Manifest]:
    spec = template["spec"]
    return [*spec["containers"], *spec.get("initContainers", [])]


def matches(selector: Manifest, labels: Manifest) -> bool:
    """Whether a selector (with `matchLabels`, or a plain map of labels) selects these labels."""
    required: Manifest = selector.get("matchLabels", selector)
    return bool(required) and required.items() <= labels.items()
