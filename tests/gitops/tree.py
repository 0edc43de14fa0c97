"""The repository as Argo CD reads it: rendered by kubectl, with the facts of a cluster."""

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
PARTS = (
    "apps",
    "clusters",
    "kustomization.yaml",
    ".github",
    "Dockerfile",
    ".dockerignore",
    "terraform",
)
"""What of the repository the rules look at."""

FACTS = {
    "aws_region": "eu-central-1",
    "certificate_arn": "arn:aws:acm:eu-central-1:123456789012:certificate/0a1b2c3d",
    "documentdb_host": "game-session-db.cluster-abc.eu-central-1.docdb.amazonaws.com",
    "documentdb_secret_arn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:db-AbCdEf",
    "ecr_registry": "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
    "hostname": "api.game.example",
    "repository_revision": "main",
    "repository_url": "https://git.example/game/game-api.git",
    "vpc_cidr": "10.20.0.0/16",
    "vpc_id": "vpc-0a1b2c3d",
}
"""A cluster's facts, as Terraform writes them to the annotations of the cluster's Secret."""

Manifest = dict[str, Any]

_ACTION = re.compile(r"\{\{\s*(\.[\w.]+)\s*(\|\s*quote\s*)?\}\}")


def requires(program: str, hint: str) -> str:
    """The program's path; where it is missing the test is skipped, and fails in CI."""
    found = shutil.which(program)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{program} is missing: {hint}")
    return found


class Tree:
    """The repository at `root`. What is rendered is rendered once."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.render = cache(self._render)
        self.application = cache(self._application)

    def _render(self, folder: str) -> list[Manifest]:
        """What a kustomization makes; `folder` is seen from the root."""
        return self._kustomize(self.root / folder)

    def _kustomize(self, folder: Path) -> list[Manifest]:
        kubectl = requires("kubectl", "https://kubernetes.io/docs/tasks/tools/")
        done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]

    def overlay(self, environment: str) -> list[Manifest]:
        return self.render(f"apps/game-api/overlays/{environment}")

    def _application(self, environment: str) -> list[Manifest]:
        """What Argo CD applies in a cluster: the overlay with that cluster's facts."""
        source = self.template("game-api", environment)["spec"]["source"]
        options = source["kustomize"]
        images = []
        for image in options["images"]:
            name, new = image.split("=")
            assert new.endswith(":*"), "the tag is the overlay's"
            images.append({"name": name, "newName": new.removesuffix(":*")})
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.relpath(self.root.resolve() / source["path"], Path(folder).resolve())
            kustomization = {"resources": [path], "images": images, "patches": options["patches"]}
            Path(folder, "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
            return self._kustomize(Path(folder))

    def template(self, application_set: str, environment: str) -> Manifest:
        """The Application that the ApplicationSet makes; an unknown fact is a KeyError."""
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
            return _ACTION.sub(replace, value) if isinstance(value, str) else value

        found = one(self.render("."), "ApplicationSet", application_set)
        resolved: Manifest = resolve(found["spec"]["template"])
        assert "{{" not in str(resolved), "an action that only Argo CD knows"
        return resolved

    def everything(self) -> Iterator[tuple[str, list[Manifest]]]:
        """A name and the manifests, for each thing that is synced."""
        yield "root", self.render(".")
        for environment in overlay.ENVIRONMENTS:
            yield environment, self.application(environment)

    def text(self, path: str) -> str:
        return (self.root / path).read_text()

    def workflows(self) -> dict[str, Manifest]:
        """Each workflow by its name."""
        found: dict[str, Manifest] = {}
        for file in sorted((self.root / ".github/workflows").glob("*.yaml")):
            workflow = yaml.safe_load(file.read_text())
            workflow["on"] = workflow.pop(True)  # what YAML 1.1 takes `on` for
            found[file.stem] = workflow
        return found

    def copy(self, folder: Path) -> "Tree":
        """A tree of its own to make mistakes in."""
        for part in PARTS:
            source = self.root / part
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, folder / part)
        return Tree(folder)


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def one(manifests: list[Manifest], kind: str, name: str | None = None) -> Manifest:
    """The only manifest of a kind, or of a kind and a name."""
    found = [
        manifest
        for manifest in of_kind(manifests, kind)
        if name is None or manifest["metadata"]["name"] == name
    ]
    assert len(found) == 1, f"{len(found)} of {kind} {name or ''}"
    return found[0]


def pod_templates(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """`Kind/name` and the pod's template, of everything that makes pods."""
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "Job"):
            name = f"{manifest['kind']}/{manifest['metadata']['name']}"
            yield name, manifest["spec"]["template"]


def containers(template: Manifest) -> list[Manifest]:
    spec = template["spec"]
    return [*spec["containers"], *spec.get("initContainers", [])]


def matches(selector: Manifest, labels: Manifest) -> bool:
    """Whether a `matchLabels` (or a plain map of labels) selects these labels."""
    wanted: Manifest = selector.get("matchLabels", selector)
    return bool(wanted) and wanted.items() <= labels.items()
