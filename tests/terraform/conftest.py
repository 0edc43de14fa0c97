"""Fixtures that initialise Terraform once per test session."""

import pytest

from tests.terraform.configurations import (
    ENVIRONMENTS,
    ONE_REGISTRY,
    Outcome,
    Terraform,
    initialise,
)


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return initialise(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def base(terraform: Terraform) -> dict[str, Outcome]:
    """The outcome of the base configuration's tests in each environment."""
    return {environment: terraform.test(".", environment) for environment in ENVIRONMENTS}


@pytest.fixture(scope="session")
def registry(terraform: Terraform) -> Outcome:
    """The outcome of the tests of the registry's configuration."""
    return terraform.test("registry", ONE_REGISTRY)
