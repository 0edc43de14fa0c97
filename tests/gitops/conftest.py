"""Fixtures for the tests of the commands and the workflows."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from gitops import overlay
from tests.aws import Moto, environment
from tests.github import GitHub
from tests.gitops.clones import NAME, ROOT, Remote, git, run
from tests.gitops.workflow_runner import Runner


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path)


class Registry:
    """ECR on a moto server. A process needs the variables in `environment` to reach it."""

    def __init__(self, endpoint: str) -> None:
        self.environment = {**environment(endpoint), "AWS_ENDPOINT_URL": endpoint}
        session = boto3.Session("test", "test", region_name="eu-central-1")
        self.ecr = session.client("ecr", endpoint_url=endpoint)

    def create(self) -> None:
        self.ecr.create_repository(repositoryName="game-api")

    def push(self, tag: str) -> None:
        self.ecr.put_image(
            repositoryName="game-api",
            imageManifest=json.dumps({"schemaVersion": 2, "layers": [], "tag": tag}),
            imageManifestMediaType="application/vnd.oci.image.manifest.v1+json",
            imageTag=tag,
        )


@pytest.fixture
def registry() -> Iterator[Registry]:
    aws = Moto()
    aws.start()
    yield Registry(aws.endpoint)
    aws.stop()


class Reports:
    """What Argo CD reports to GitHub. A process needs the variables in `environment` to read it."""

    def __init__(self, github: GitHub) -> None:
        self.github = github
        self.environment = {"GITHUB_API_URL": github.url, "GH_TOKEN": github.token}

    def add(
        self,
        environment: str,
        tag: str,
        revision: str,
        state: str = "success",
        ago: timedelta = timedelta(),
    ) -> None:
        """Report that an environment has synced a revision, whose image is that of the tag."""
        health = {"success": "Healthy", "pending": "Progressing", "failure": "Degraded"}[state]
        context, at = f"argocd/game-api-{environment}", datetime.now(UTC) - ago
        description = f"{health} at {revision}"
        self.github.add_status(NAME, tag, context, state, description, created_at=at)


@pytest.fixture
def reports() -> Iterator[Reports]:
    with GitHub() as github:
        yield Reports(github)


class Pipeline:
    """A clone in which builds are deployed to dev, promoted, merged and rolled back."""

    def __init__(self, remote: Remote, reports: Reports) -> None:
        self.remote, self.reports = remote, reports
        self.clone = remote.clone("clone")

    def build(self, name: str) -> str:
        """Deploy a new build to dev, and return its tag."""
        tag = self.remote.commit(f"feat: {name}", "src/app.py", name)
        assert run(self.clone, "bump", "dev", tag)[0] == 0
        return tag

    def report(
        self, environment: str, state: str = "success", ago: timedelta = timedelta()
    ) -> None:
        """Report to GitHub how an environment does with the tip of its branch."""
        revision = git(self.remote.bare, "rev-parse", overlay.branch(environment))
        self.reports.add(environment, self.remote.tag(environment), revision, state, ago)

    def promote(self, source: str, target: str, *options: str) -> tuple[int, str, str]:
        return run(self.clone, "promote", source, target, *options, **self.reports.environment)

    def deploy(self, target: str, *options: str) -> None:
        """Promote to the target, and merge."""
        source = overlay.source(target)
        self.report(source)
        code, _, errors = self.promote(source, target, *options)
        assert (code, errors) == (0, "")
        self.remote.merge(f"promote/{target}", overlay.branch(target))

    def roll_back(self, environment: str, to: str) -> None:
        """Roll back to a build, and merge."""
        code, _, errors = run(self.clone, "rollback", environment, to)
        assert (code, errors) == (0, "")
        if environment != overlay.ENVIRONMENTS[0]:
            self.remote.merge(f"rollback/{environment}", overlay.branch(environment))


@pytest.fixture
def pipeline(remote: Remote, reports: Reports) -> Pipeline:
    return Pipeline(remote, reports)


@pytest.fixture
def runner(tmp_path: Path, remote: Remote) -> Runner:
    clone = remote.clone("clone")
    (clone / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    (clone / "src/gitops").symlink_to(ROOT / "src/gitops")
    return Runner(tmp_path, clone)
