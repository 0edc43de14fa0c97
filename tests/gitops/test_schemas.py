"""Argo CD's own kinds, held against the definitions of the release that runs in the clusters."""

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
from tests.gitops.rules import ARGO, KUBERNETES
from tests.gitops.tree import Manifest, Tree, one, requires

CLUSTER = ROOT / "tests/e2e"
"""Where the modules of the cluster that the tests make are pinned."""


@pytest.fixture(scope="session")
def argocd() -> dict[str, str]:
    """The sources of Argo CD, as `go mod download` describes them."""
    return download("argocd", "github.com/argoproj/argo-cd/v3")


def download(name: str, module: str) -> dict[str, str]:
    go = requires("go", "https://go.dev/doc/install")
    command = [go, "mod", "download", "-json", module]
    done = subprocess.run(command, cwd=CLUSTER / name, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    downloaded: dict[str, str] = json.loads(done.stdout)
    return downloaded


@pytest.fixture(scope="session")
def definitions(argocd: dict[str, str]) -> dict[str, Manifest]:
    """Each kind's schema, from the sources of Argo CD."""
    schemas = {}
    for file in Path(argocd["Dir"], "manifests/crds").glob("*-crd.yaml"):
        definition = yaml.load(file.read_text(), yaml.CSafeLoader)
        (version,) = definition["spec"]["versions"]
        kind = definition["spec"]["names"]["kind"]
        schemas[kind] = closed(version["schema"]["openAPIV3Schema"])
    return schemas


def closed(schema: Any) -> Any:
    """The schema, with nothing allowed that it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: closed(value) for key, value in schema.items()}
    if "properties" in schema and "x-kubernetes-preserve-unknown-fields" not in schema:
        result.setdefault("additionalProperties", False)
    return result


def test_the_cluster_of_the_tests_has_the_versions_of_production(argocd: dict[str, str]) -> None:
    kubernetes = (ROOT / "terraform/variables.tf").read_text()
    (minor,) = re.findall(r'"kubernetes_version" \{[^}]*default += "([\d.]+)"', kubernetes)
    assert minor == KUBERNETES
    pinned = (CLUSTER / "kubernetes/go.mod").read_text()
    assert re.findall(r"^\tk8s.io/kubernetes v(\d+\.\d+)", pinned, re.MULTILINE) == [minor]
    values = (ROOT / "terraform/argocd/values.tf").read_text()
    assert re.findall(r'image = \{ tag = "(v[\d.]+)" \}', values) == [argocd["Version"]]


def kinds(tree: Tree) -> list[Manifest]:
    return [manifest for manifest in tree.render(".") if manifest["kind"] in ARGO]


def test_the_projects_and_application_sets_fit_their_definitions(
    definitions: dict[str, Manifest],
) -> None:
    found = kinds(Tree())
    assert len(found) == 4
    for manifest in found:
        Validator(definitions[manifest["kind"]]).validate(manifest)


def test_the_applications_fit_their_definition(definitions: dict[str, Manifest]) -> None:
    for environment in ("dev", "staging", "prod"):
        application = Tree().template("game-api", environment)
        spec = definitions["Application"]["properties"]["spec"]
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
def test_a_misspelt_field_does_not_fit(
    definitions: dict[str, Manifest], kind: str, name: str, old: str, new: str
) -> None:
    manifest = deepcopy(one(Tree().render("."), kind, name))
    misspelt = json.loads(json.dumps(manifest).replace(f'"{old}"', f'"{new}"'))
    assert misspelt != manifest
    with pytest.raises(ValidationError, match=new):
        Validator(definitions[kind]).validate(misspelt)
