"""Both configurations are formatted and valid, and pass their tests and the rules."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.gitops import rules as manifest_rules
from tests.gitops.tree import ROOT, Tree, requires
from tests.terraform import access_rules, api_models, policies
from tests.terraform.configurations import CONFIGURATIONS, ENVIRONMENTS, Outcome, Terraform
from tests.terraform.rules import REGISTRY_RULES, RULES, Rule

pytestmark = pytest.mark.timeout(900)  # Terraform is slow on a busy machine.

COMMON_RULES: tuple[Rule, ...] = (*policies.RULES, *api_models.RULES)
"""The rules for all environments and for the registry."""


def test_the_code_is_formatted() -> None:
    terraform = requires("terraform", "https://developer.hashicorp.com/terraform/install")
    result = subprocess.run(
        [terraform, "fmt", "-check", "-recursive", "-diff", str(ROOT / "terraform")],
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("configuration", [*CONFIGURATIONS, "bootstrap"])
def test_the_configuration_is_valid(terraform: Terraform, configuration: str) -> None:
    result = terraform.run(configuration, "validate", "-no-color")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_base_configuration_passes_its_tests(
    base: dict[str, Outcome], environment: str
) -> None:
    assert base[environment].passed, base[environment].diagnostics


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_argocd_configuration_passes_its_tests(terraform: Terraform, environment: str) -> None:
    outcome = terraform.test("argocd", environment)
    assert outcome.passed, outcome.diagnostics


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(
    "rule", (*RULES, *access_rules.RULES, *COMMON_RULES), ids=lambda rule: rule.__name__
)
def test_a_rule_holds(base: dict[str, Outcome], environment: str, rule: Rule) -> None:
    assert list(rule(base[environment])) == []


def test_the_configuration_of_the_registry_passes_its_tests(registry: Outcome) -> None:
    assert registry.passed, registry.diagnostics


@pytest.mark.parametrize("rule", (*REGISTRY_RULES, *COMMON_RULES), ids=lambda rule: rule.__name__)
def test_a_rule_holds_for_the_registry(registry: Outcome, rule: Rule) -> None:
    assert list(rule(registry)) == []


def test_terraform_writes_the_annotations_that_argo_cd_reads(
    base: dict[str, Outcome], terraform: Terraform
) -> None:
    outcome = terraform.test("argocd", "dev")
    (release,) = [r for r in outcome.resources if r.address == "helm_release.bootstrap"]
    cluster_secret = yaml.safe_load(release.values["values"][0])["manifests"][0]
    repository = {"repository_url", "repository_revision"}
    facts_read = manifest_rules.facts_read(Tree())
    assert set(cluster_secret["metadata"]["annotations"]) == facts_read
    assert set(base["dev"].outputs["facts"]) | repository == facts_read


def test_the_cluster_has_the_kubernetes_version_of_the_manifests(
    base: dict[str, Outcome],
) -> None:
    for outcome in base.values():
        (cluster,) = [r for r in outcome.resources if r.type == "aws_eks_cluster"]
        assert cluster.values["version"] == manifest_rules.KUBERNETES


def test_all_environments_pull_from_the_registry(base: dict[str, Outcome]) -> None:
    settings = variables("registry.tfvars")
    host = f"{settings['account_id']}.dkr.ecr.{settings['region']}.amazonaws.com"
    assert {outcome.outputs["facts"]["ecr_registry"] for outcome in base.values()} == {host}
    readers = {variables(f"{environment}.tfvars")["account_id"] for environment in ENVIRONMENTS}
    assert set(settings["reader_account_ids"]) == readers - {settings["account_id"]}


def test_one_configuration_in_each_account_creates_the_provider_for_github(
    base: dict[str, Outcome], registry: Outcome
) -> None:
    creators = []
    for name, outcome in {**base, "registry": registry}.items():
        if any(
            resource.type == "aws_iam_openid_connect_provider" for resource in outcome.resources
        ):
            creators.append(variables(f"{name}.tfvars")["account_id"])
    assert sorted(creators) == sorted({variables(f"{e}.tfvars")["account_id"] for e in base})


def variables(file: str) -> dict[str, Any]:
    """The settings in a file of terraform/environments/ that fit in one line."""
    text = (ROOT / "terraform/environments" / file).read_text()
    return {
        name: json.loads(value)
        for name, value in re.findall(r"^(\w+) += (\S.*[^{(\[])$", text, re.MULTILINE)
    }


def test_the_database_and_the_registry_may_not_be_destroyed() -> None:
    """The tests of Terraform remove this protection from their copy."""
    expected = {
        "main.tf": ["terraform_data.protection"],
        "registry/main.tf": [
            "aws_kms_key.images",
            "aws_ecr_repository.this",
            "aws_iam_openid_connect_provider.github",
            "aws_iam_role.release",
        ],
        "bootstrap/main.tf": ["aws_s3_bucket.state"],
    }
    for file, addresses in expected.items():
        text = (ROOT / "terraform" / file).read_text()
        blocks = re.split(r"^(?=resource )", text, flags=re.MULTILINE)
        protected = [
            ".".join(re.findall(r'"(\w+)"', block)[:2])
            for block in blocks
            if "prevent_destroy = true" in block
        ]
        assert protected == addresses


def test_every_variable_has_a_description_a_type_and_a_validation() -> None:
    """A boolean variable needs no validation."""
    for configuration in CONFIGURATIONS:
        text = (ROOT / "terraform" / configuration / "variables.tf").read_text()
        for block in re.split(r"^(?=variable )", text, flags=re.MULTILINE)[1:]:
            name = re.findall(r'variable "(\w+)"', block)[0]
            assert "description" in block and "type " in block, name
            assert "validation {" in block or re.search(r"type += bool", block), name


def test_no_two_environments_share_an_account_a_network_a_domain_or_a_state_bucket() -> None:
    folder = ROOT / "terraform/environments"
    for pattern in (
        r'^account_id +=\s*"(\d+)"',
        r'^vpc_cidr +=\s*"(\S+)"',
        r'^  domain_prefix +=\s*"(\S+)"',  # The domain of a user pool is unique in its region.
    ):
        files = [folder / f"{environment}.tfvars" for environment in ENVIRONMENTS]
        values = [re.findall(pattern, file.read_text(), re.MULTILINE)[0] for file in files]
        assert len(set(values)) == len(ENVIRONMENTS)
    buckets = {
        re.findall(r'bucket += "(.+)"', (folder / f"{environment}.s3.tfbackend").read_text())[0]
        for environment in ENVIRONMENTS
    }
    assert len(buckets) == len(ENVIRONMENTS)


def test_every_configuration_pins_its_providers_and_stores_its_state_in_s3() -> None:
    for configuration in CONFIGURATIONS:
        text = (ROOT / "terraform" / configuration / "versions.tf").read_text()
        versions = re.findall(r'^\s+version += "(.+)"', text, re.MULTILINE)
        assert versions and all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)
        assert 'backend "s3"' in text


@pytest.mark.parametrize("file", ["versions.tf", "registry/versions.tf", "bootstrap/main.tf"])
def test_the_provider_sets_default_tags_and_rejects_other_accounts(file: str) -> None:
    text = (ROOT / "terraform" / file).read_text()
    assert "default_tags" in text and "allowed_account_ids" in text


@pytest.mark.parametrize("environment", [*ENVIRONMENTS, "registry"])
def test_the_backend_rejects_other_accounts_and_shares_no_state(environment: str) -> None:
    settings = variables(f"{environment}.s3.tfbackend")
    account = variables(f"{environment}.tfvars")["account_id"]
    assert settings["allowed_account_ids"] == [account]
    assert settings["bucket"].endswith(account) and settings["use_lockfile"]
    assert settings["key"] == ("registry" if environment == "registry" else "base") + ".tfstate"


def test_the_policy_of_the_load_balancer_controller_covers_only_known_services() -> None:
    file = Path(ROOT, "terraform/policies/aws-load-balancer-controller.json")
    statements = json.loads(file.read_text())["Statement"]
    services = {action.split(":")[0] for s in statements for action in s["Action"]}
    assert services == {
        "acm",
        "cognito-idp",
        "ec2",
        "elasticloadbalancing",
        "iam",
        "shield",
        "waf-regional",
        "wafv2",
    }
