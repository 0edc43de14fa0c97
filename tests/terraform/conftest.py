"""Terraform, initialised once."""

import pytest

from tests.terraform.states import ENVIRONMENTS, Outcome, Terraform, initialised


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return initialised(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def base(terraform: Terraform) -> dict[str, Outcome]:
    """The first state as each environment has it."""
    return {environment: terraform.test(".", environment) for environment in ENVIRONMENTS}
