"""`make checkov` fails if a check fails, and if something could not be scanned."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.checkov import gate
from tests.checkov.gate import Scan
from tests.gitops.tree import Tree, requires


@pytest.fixture(scope="module", autouse=True)
def checkov_is_installed() -> None:
    requires(str(gate.CHECKOV), "run `make checkov` to install it")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree().copy(tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tree


def scan_of(tree: Tree, framework: str, folder: str = "") -> Scan:
    """The gate's scan of a folder."""
    (scan,) = [
        scan
        for scan in gate.scans(tree.root)
        if scan.framework == framework and scan.folder == Path(folder)
    ]
    return scan


def replace(tree: Tree, file: str, old: str, new: str) -> None:
    text = tree.text(file)
    assert old in text
    (tree.root / file).write_text(text.replace(old, new))


DEV = "apps/game-api/overlays/dev"


def test_a_pod_with_a_writable_root_filesystem_fails(tree: Tree) -> None:
    base = "apps/game-api/base/deployment.yaml"
    replace(tree, base, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")
    for scan in (scan_of(tree, "kustomize", DEV), scan_of(tree, "kubernetes")):
        problems = gate.run(scan).problems
        assert any("CKV_K8S_22" in problem for problem in problems), problems


def test_files_that_git_ignores_are_not_scanned(tree: Tree) -> None:
    generated = tree.root / "build/Dockerfile"
    generated.parent.mkdir()
    generated.write_text("FROM scratch\nUSER root\n")
    (tree.root / ".gitignore").write_text("")
    assert gate.run(scan_of(tree, "dockerfile")).problems
    (tree.root / ".gitignore").write_text("build/\n")
    assert not gate.run(scan_of(tree, "dockerfile")).problems


def test_an_overlay_that_does_not_render_fails(tree: Tree) -> None:
    replace(tree, f"{DEV}/kustomization.yaml", "../../base", "../../bas")
    problems = gate.run(scan_of(tree, "kustomize", DEV)).problems
    assert "no checked resource matches ':dev:Deployment.'" in problems


def test_a_kustomize_scan_without_kubectl_fails(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkov = str(gate.CHECKOV.parent)
    tools = tree.root / "tools"
    tools.mkdir()
    for tool in ("sh", "git", "env"):
        (tools / tool).symlink_to(shutil.which(tool) or "")
    monkeypatch.setenv("PATH", f"{checkov}:{tools}")
    assert gate.run(scan_of(tree, "kustomize", DEV)).problems


def test_a_manifest_with_invalid_yaml_fails(tree: Tree) -> None:
    replace(tree, "apps/game-api/base/deployment.yaml", "spec:\n", "spec: [\n")
    problems = gate.run(scan_of(tree, "kubernetes")).problems
    assert "no checked resource matches 'Deployment.'" in problems


def test_a_workflow_with_invalid_yaml_fails(tree: Tree) -> None:
    replace(tree, ".github/workflows/release.yaml", "jobs:\n", "jobs: [\n")
    problems = gate.run(scan_of(tree, "github_actions")).problems
    assert "no checked resource matches '/release.yaml'" in problems


def test_a_workflow_with_all_permissions_fails(tree: Tree) -> None:
    replace(
        tree,
        ".github/workflows/release.yaml",
        "permissions:\n  contents: read",
        "permissions: write-all",
    )
    problems = gate.run(scan_of(tree, "github_actions")).problems
    assert any("CKV2_GHA_1" in problem for problem in problems), problems


def test_an_image_that_runs_as_root_fails(tree: Tree) -> None:
    replace(tree, "Dockerfile", "USER 10001:10001", "USER root")
    problems = gate.run(scan_of(tree, "dockerfile")).problems
    assert any("CKV_DOCKER_8" in problem for problem in problems), problems


def test_a_repository_without_a_dockerfile_fails(tree: Tree) -> None:
    (tree.root / "Dockerfile").unlink()
    problems = gate.run(scan_of(tree, "dockerfile")).problems
    assert problems == ["no checked resource matches '/Dockerfile'"]


def test_a_secret_in_any_file_fails(tree: Tree) -> None:
    (tree.root / "notes.txt").write_text("key = AKIA" + "QWERTYUIOPASDFGH\n")
    problems = gate.run(scan_of(tree, "secrets")).problems
    assert [problem.split()[:2] for problem in problems] == [["CKV_SECRET_2", "/notes.txt:1-2"]]


def test_a_skip_without_a_reason_fails(tree: Tree) -> None:
    replace(
        tree, "Dockerfile", "CKV_DOCKER_7:PYTHON_IMAGE has an exact tag, see above", "CKV_DOCKER_7"
    )
    problems = gate.run(scan_of(tree, "dockerfile")).problems
    assert any("without a reason" in problem for problem in problems), problems


def test_an_unencrypted_database_fails(tree: Tree) -> None:
    replace(tree, "terraform/docdb.tf", "storage_encrypted = true", "storage_encrypted = false")
    problems = gate.run(scan_of(tree, "terraform", "terraform")).problems
    assert any("CKV_AWS_74" in problem for problem in problems), problems


def test_invalid_terraform_fails(tree: Tree) -> None:
    replace(tree, "terraform/docdb.tf", 'engine             = "docdb"', "engine = = =")
    problems = gate.run(scan_of(tree, "terraform", "terraform")).problems
    assert any("docdb.tf" in problem for problem in problems), problems
