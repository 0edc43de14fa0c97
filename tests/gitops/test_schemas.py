"""Argo CD's own kinds, held against the definitions of the release that runs in the clusters."""

import json
import subprocess
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator as Validator
from jsonschema import ValidationError

from tests.gitops.rules import ARGO
from tests.gitops.tree import Manifest, Tree, one, requires

MODULE = "github.com/argoproj/argo-cd/v3@v3.2.11"
# checkov:skip=CKV_SECRET_6:the checksum of a module
CHECKSUM = "h1:3hkR11XCp/nlyM2cWr3qeUSGuZgi3JkFdMpzgL5qOR8="


@pytest.fixture(scope="session")
def definitions() -> dict[str, Manifest]:
    """Each kind's schema, from the sources of Argo CD."""
    go = requires("go", "https://go.dev/doc/install")
    done = subprocess.run([go, "mod", "download", "-json", MODULE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    download = json.loads(done.stdout)
    assert download["Sum"] == CHECKSUM
    schemas = {}
    for file in Path(download["Dir"], "manifests/crds").glob("*-crd.yaml"):
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
