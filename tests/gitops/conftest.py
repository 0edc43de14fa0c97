"""Fixtures for the tests of the commands and the workflows."""

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.aws import Moto, environment
from tests.gitops.clones import Remote


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
