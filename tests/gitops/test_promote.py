"""`make promote` pushes a branch that copies a tag to the next environment."""

from pathlib import Path

import pytest

from gitops import overlay
from tests.gitops.clones import Remote, git, run
from tests.gitops.conftest import Registry


@pytest.fixture
def deployed(remote: Remote) -> tuple[Path, str]:
    """A clone, and the tag of a build that dev has and staging does not have yet."""
    clone = remote.clone("clone")
    remote.commit("feat: more", "src/app.py", "2")
    tag = remote.commit("fix: less", "src/app.py", "3")
    assert run(clone, "bump", "dev", tag)[0] == 0
    return clone, tag


def test_a_promotion_pushes_a_branch_that_copies_the_tag(
    remote: Remote, deployed: tuple[Path, str], tmp_path: Path
) -> None:
    clone, tag = deployed
    outputs = tmp_path / "outputs"
    code, output, errors = run(clone, "promote", "dev", "staging", GITHUB_OUTPUT=str(outputs))
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0] == f"staging: {remote.first_build} -> {tag}"
    assert [line.split(maxsplit=1)[1] for line in lines[1:-1]] == [
        "fix: less",
        "feat: more",
        "chore: the overlays",
    ]
    assert lines[-1] == "pushed promote/staging; merge it into main to deploy"
    assert outputs.read_text() == "branch=promote/staging\n"
    assert remote.tag("staging") == remote.first_build, "main only changes with the merge"
    assert remote.tag("staging", "promote/staging") == tag
    assert git(remote.bare, "diff", "--name-only", "main", "promote/staging") == (
        "apps/game-api/overlays/staging/kustomization.yaml"
    )
    assert "feat: more" in git(remote.bare, "log", "-1", "--format=%b", "promote/staging")


def test_promotions_bring_a_build_to_every_environment(
    remote: Remote, deployed: tuple[Path, str]
) -> None:
    clone, tag = deployed
    for source, target in (("dev", "staging"), ("staging", "prod")):
        assert run(clone, "promote", source, target)[0] == 0
        git(clone, "pull", "--quiet", "--ff-only", "origin", f"promote/{target}")
        git(clone, "push", "--quiet", "origin", "main")
    assert {remote.tag(name) for name in ("dev", "staging", "prod")} == {tag}
    before = remote.branches()
    code, output, _ = run(clone, "promote", "dev", "staging")
    assert (code, output) == (0, "staging already has dev's build; nothing to promote\n")
    assert remote.branches() == before


def test_a_newer_promotion_replaces_one_that_was_not_merged(
    remote: Remote, deployed: tuple[Path, str]
) -> None:
    clone, _ = deployed
    assert run(clone, "promote", "dev", "staging")[0] == 0
    newer = remote.commit("feat: new", "src/app.py", "4")
    assert run(clone, "bump", "dev", newer)[0] == 0
    assert run(clone, "promote", "dev", "staging")[0] == 0
    assert remote.tag("staging", "promote/staging") == newer
    assert git(remote.bare, "rev-parse", "promote/staging~1") == (
        git(remote.bare, "rev-parse", "main")
    )


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("dev", "prod", "cannot promote dev -> prod; builds are promoted dev -> staging -> prod"),
        ("staging", "dev", "cannot promote staging -> dev"),
        ("dev", "dev", "cannot promote dev -> dev"),
        ("dev", "production", "unknown environment 'production'"),
        ("", "staging", "unknown environment ''"),
    ],
)
def test_invalid_arguments_print_an_error_and_change_nothing(
    remote: Remote, deployed: tuple[Path, str], source: str, target: str, message: str
) -> None:
    before = remote.branches()
    code, output, errors = run(deployed[0], "promote", source, target)
    assert (code, output) == (1, "")
    assert errors.startswith("promote: ") and message in errors and "Traceback" not in errors
    assert remote.branches() == before


def test_uncommitted_changes_stop_a_promotion(remote: Remote, deployed: tuple[Path, str]) -> None:
    clone, _ = deployed
    (clone / "src/app.py").write_text("not committed")
    before = remote.branches()
    code, _, errors = run(clone, "promote", "dev", "staging")
    assert code == 1 and "the working tree has changes" in errors
    assert remote.branches() == before


def test_a_promotion_never_deploys_an_older_build(
    remote: Remote, deployed: tuple[Path, str]
) -> None:
    clone, tag = deployed
    newest = remote.commit("feat: new", "src/app.py", "4")
    staging = overlay.path("staging")
    text = overlay.with_tag((remote.seed / staging).read_text(), newest)
    remote.commit("chore: by hand", staging, text)
    before = remote.branches()
    code, _, errors = run(clone, "promote", "dev", "staging")
    assert code == 1 and f"staging's build {newest} is newer than dev's build {tag}" in errors
    assert remote.branches() == before


def test_an_image_that_is_not_in_ecr_is_not_promoted(
    remote: Remote, deployed: tuple[Path, str], registry: Registry
) -> None:
    clone, tag = deployed
    before = remote.branches()
    promote = ("promote", "dev", "staging", "--ecr=game-api")
    code, _, errors = run(clone, *promote, **registry.environment)
    assert code == 1 and "RepositoryNotFoundException" in errors
    registry.create()
    code, _, errors = run(clone, *promote, **registry.environment)
    assert code == 1 and f"ECR repository game-api has no image {tag}" in errors
    assert remote.branches() == before
    registry.push(tag)
    code, _, errors = run(clone, *promote, **registry.environment)
    assert (code, errors) == (0, "")
    assert remote.tag("staging", "promote/staging") == tag
