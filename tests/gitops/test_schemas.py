"""Argo CD's own kinds match the CustomResourceDefinitions of the version in the clusters."""

import json
import re
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator as Validator
from jsonschema import ValidationError

from tests.gitops.clones import ROOT
from tests.gitops.rules import ARGOCD_KINDS, KUBERNETES
from tests.gitops.tree import Manifest, Tree, find_one, requires

GO_MODULES = ROOT / "tests/e2e"
"""The folder of the Go modules that pin the versions of the end-to-end tests' cluster."""


@pytest.fixture(scope="session")
def argocd() -> dict[str, str]:
    """The output of `go mod download -json` for Argo CD's source code."""
    return download("argocd", "github.com/argoproj/argo-cd/v3")


def download(name: str, module: str) -> dict[str, str]:
    go = requires("go", "https://go.dev/doc/install")
    command = [go, "mod", "download", "-json", module]
    result = subprocess.run(command, cwd=GO_MODULES / name, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    module_info: dict[str, str] = json.loads(result.stdout)
    return module_info


@pytest.fixture(scope="session")
def schemas(argocd: dict[str, str]) -> dict[str, Manifest]:
    """The schema of each kind, from Argo CD's source code."""
    schemas = {}
    for file in Path(argocd["Dir"], "manifests/crds").glob("*-crd.yaml"):
        definition = yaml.load(file.read_text(), yaml.CSafeLoader)
        (version,) = definition["spec"]["versions"]
        kind = definition["spec"]["names"]["kind"]
        schemas[kind] = forbid_unknown_fields(version["schema"]["openAPIV3Schema"])
    return schemas


def forbid_unknown_fields(schema: Any) -> Any:
    """Add `additionalProperties: false` wherever the schema does not preserve unknown fields."""
    if isinstance(schema, list):
        return [forbid_unknown_fields(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: forbid_unknown_fields(value) for key, value in schema.items()}
    if "properties" in schema and "x-kubernetes-preserve-unknown-fields" not in schema:
        result.setdefault("additionalProperties", False)
    return result


def test_the_end_to_end_tests_use_the_versions_of_the_clusters(argocd: dict[str, str]) -> None:
    variables = (ROOT / "terraform/variables.tf").read_text()
    (minor,) = re.findall(r'"kubernetes_version" \{[^}]*default += "([\d.]+)"', variables)
    assert minor == KUBERNETES
    pinned = (GO_MODULES / "kubernetes/go.mod").read_text()
    assert re.findall(r"^\tk8s.io/kubernetes v(\d+\.\d+)", pinned, re.MULTILINE) == [minor]
    values = (ROOT / "terraform/argocd/values.tf").read_text()
    assert re.findall(r'image = \{ tag = "(v[\d.]+)" \}', values) == [argocd["Version"]]


def test_the_projects_and_application_sets_are_valid(schemas: dict[str, Manifest]) -> None:
    manifests = [m for m in Tree().render(".") if m["kind"] in ARGOCD_KINDS]
    assert len(manifests) == 6
    for manifest in manifests:
        Validator(schemas[manifest["kind"]]).validate(manifest)


def test_the_applications_are_valid(schemas: dict[str, Manifest]) -> None:
    for environment in ("dev", "staging", "prod"):
        application = Tree().template("game-api", environment)
        spec = schemas["Application"]["properties"]["spec"]
        Validator(spec).validate(application["spec"])


@pytest.mark.parametrize(
    ("kind", "name", "old", "new"),
    [
        ("AppProject", "game-session", "sourceRepos", "sourceRepositories"),
        ("AppProject", "game-session", "manualSync", "manual"),
        ("ApplicationSet", "game-api", "preserveResourcesOnDeletion", "preserveResources"),
        ("ApplicationSet", "game-api", "targetRevision", "revision"),
        ("ApplicationSet", "game-api", "selfHeal", "heal"),
    ],
)
def test_a_misspelled_field_is_invalid(
    schemas: dict[str, Manifest], kind: str, name: str, old: str, new: str
) -> None:
    manifest = deepcopy(find_one(Tree().render("."), kind, name))
    misspelled = json.loads(json.dumps(manifest).replace(f'"{old}"', f'"{new}"'))
    assert misspelled != manifest
    with pytest.raises(ValidationError, match=new):
        Validator(schemas[kind]).validate(misspelled)
