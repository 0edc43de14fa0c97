"""`make checkov` fails for what is wrong, and for what could not be scanned."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.checkov import gate
from tests.checkov.gate import Scan
from tests.gitops.tree import Tree, requires


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    requires(str(gate.CHECKOV), "make checkov installs it")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree().copy(tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tree


def scan_of(tree: Tree, framework: str, folder: str = "") -> Scan:
    """The scan that the gate makes of a folder."""
    place = tree.root / folder
    (found,) = [
        scan
        for scan in gate.scans(tree.root)
        if scan.framework == framework and scan.folder == place
    ]
    return found


def replace(tree: Tree, file: str, old: str, new: str) -> None:
    text = tree.text(file)
    assert old in text
    (tree.root / file).write_text(text.replace(old, new))


DEV = "apps/game-api/overlays/dev"


def test_a_pod_with_too_many_rights_fails(tree: Tree) -> None:
    base = "apps/game-api/base/deployment.yaml"
    replace(tree, base, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")
    for scan in (scan_of(tree, "kustomize", DEV), scan_of(tree, "kubernetes")):
        complaints = gate.run(scan).complaints
        assert any("CKV_K8S_22" in complaint for complaint in complaints), complaints


def test_an_overlay_that_does_not_render_fails(tree: Tree) -> None:
    replace(tree, f"{DEV}/kustomization.yaml", "../../base", "../../bas")
    complaints = gate.run(scan_of(tree, "kustomize", DEV)).complaints
    assert "checked nothing like ':dev:Deployment.'" in complaints


def test_without_kubectl_a_scan_fails(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    python = str(gate.CHECKOV.parent)
    tools = tree.root / "tools"
    tools.mkdir()
    for tool in ("sh", "git", "env"):
        (tools / tool).symlink_to(shutil.which(tool) or "")
    monkeypatch.setenv("PATH", f"{python}:{tools}")
    assert gate.run(scan_of(tree, "kustomize", DEV)).complaints


def test_a_manifest_that_is_no_yaml_fails(tree: Tree) -> None:
    replace(tree, "apps/game-api/base/deployment.yaml", "spec:\n", "spec: [\n")
    complaints = gate.run(scan_of(tree, "kubernetes")).complaints
    assert "checked nothing like 'Deployment.'" in complaints


def test_a_workflow_that_is_no_yaml_fails(tree: Tree) -> None:
    replace(tree, ".github/workflows/release.yaml", "jobs:\n", "jobs: [\n")
    complaints = gate.run(scan_of(tree, "github_actions")).complaints
    assert "checked nothing like '/release.yaml'" in complaints


def test_a_workflow_with_every_right_fails(tree: Tree) -> None:
    replace(
        tree,
        ".github/workflows/release.yaml",
        "permissions:\n  contents: read",
        "permissions: write-all",
    )
    complaints = gate.run(scan_of(tree, "github_actions")).complaints
    assert any("CKV2_GHA_1" in complaint for complaint in complaints), complaints


def test_an_image_that_runs_as_root_fails(tree: Tree) -> None:
    replace(tree, "Dockerfile", "USER 10001:10001", "USER root")
    complaints = gate.run(scan_of(tree, "dockerfile")).complaints
    assert any("CKV_DOCKER_8" in complaint for complaint in complaints), complaints


def test_a_repository_without_a_dockerfile_fails(tree: Tree) -> None:
    (tree.root / "Dockerfile").unlink()
    complaints = gate.run(scan_of(tree, "dockerfile")).complaints
    assert complaints == ["checked nothing like '/Dockerfile'"]


def test_a_key_in_any_file_fails(tree: Tree) -> None:
    (tree.root / "notes.txt").write_text("key = AKIA" + "QWERTYUIOPASDFGH\n")
    complaints = gate.run(scan_of(tree, "secrets")).complaints
    assert [complaint.split()[:2] for complaint in complaints] == [
        ["CKV_SECRET_2", "/notes.txt:1-2"]
    ]


def test_a_skip_without_a_reason_fails(tree: Tree) -> None:
    replace(
        tree, "Dockerfile", "CKV_DOCKER_7:PYTHON_IMAGE has an exact tag, see above", "CKV_DOCKER_7"
    )
    complaints = gate.run(scan_of(tree, "dockerfile")).complaints
    assert any("no reason" in complaint for complaint in complaints), complaints


def test_a_database_in_the_clear_fails(tree: Tree) -> None:
    replace(tree, "terraform/docdb.tf", "storage_encrypted = true", "storage_encrypted = false")
    complaints = gate.run(scan_of(tree, "terraform", "terraform")).complaints
    assert any("CKV_AWS_74" in complaint for complaint in complaints), complaints


def test_terraform_that_can_not_be_read_fails(tree: Tree) -> None:
    replace(tree, "terraform/docdb.tf", 'engine             = "docdb"', "engine = = =")
    complaints = gate.run(scan_of(tree, "terraform", "terraform")).complaints
    assert any("docdb.tf" in complaint for complaint in complaints), complaints
