"""Fixtures for the tests of the commands and the workflows."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest

from tests.aws import Moto, environment
from tests.github import GitHub
from tests.gitops.clones import NAME, Remote


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
