"""Both states in every environment: formatted, valid, as specified, and as the rules want them."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.gitops import rules as manifest_rules
from tests.gitops.tree import ROOT, Tree, requires
from tests.terraform.rules import RULES, Rule
from tests.terraform.states import ENVIRONMENTS, STATES, Outcome, Terraform


def test_the_code_is_formatted() -> None:
    terraform = requires("terraform", "https://developer.hashicorp.com/terraform/install")
    done = subprocess.run(
        [terraform, "fmt", "-check", "-recursive", "-diff", str(ROOT / "terraform")],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("state", [*STATES, "bootstrap"])
def test_the_code_is_valid(terraform: Terraform, state: str) -> None:
    done = terraform.run(state, "validate", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_base_is_as_specified(base: dict[str, Outcome], environment: str) -> None:
    assert base[environment].passed, base[environment].text


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_argo_cd_is_as_specified(terraform: Terraform, environment: str) -> None:
    outcome = terraform.test("argocd", environment)
    assert outcome.passed, outcome.text


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule_holds(base: dict[str, Outcome], environment: str, rule: Rule) -> None:
    assert list(rule(base[environment])) == []


def test_what_terraform_writes_is_what_argo_cd_reads(
    base: dict[str, Outcome], terraform: Terraform
) -> None:
    """The annotations of the cluster's Secret, the ApplicationSets, and the first state's facts."""
    outcome = terraform.test("argocd", "dev")
    (release,) = [r for r in outcome.resources if r.address == "helm_release.bootstrap"]
    manifests = yaml.safe_load(release.values["values"][0])["manifests"]
    annotations = manifests[0]["metadata"]["annotations"]
    repository = {"repository_url", "repository_revision"}
    read = manifest_rules.facts_read(Tree())
    assert set(annotations) == read
    assert set(base["dev"].outputs["facts"]) | repository == read


def test_one_release_of_kubernetes_is_meant_everywhere(base: dict[str, Outcome]) -> None:
    for outcome in base.values():
        (cluster,) = [r for r in outcome.resources if r.type == "aws_eks_cluster"]
        assert cluster.values["version"] == manifest_rules.KUBERNETES


def test_the_registry_is_one_for_all_environments(base: dict[str, Outcome]) -> None:
    registries = {outcome.outputs["facts"]["ecr_registry"] for outcome in base.values()}
    assert len(registries) == 1
    owners = [name for name, o in base.items() if o.outputs.get("release_role_arn")]
    assert owners == ["dev"]


def test_every_variable_is_described_and_checked() -> None:
    """A yes or no needs no check."""
    for state in STATES:
        text = (ROOT / "terraform" / state / "variables.tf").read_text()
        for block in re.split(r"^(?=variable )", text, flags=re.MULTILINE)[1:]:
            name = re.findall(r'variable "(\w+)"', block)[0]
            assert "description" in block and "type " in block, name
            assert "validation {" in block or re.search(r"type += bool", block), name


def test_every_account_and_state_is_an_environments_own() -> None:
    folder = ROOT / "terraform/environments"
    for pattern in (r'^account_id +=\s*"(\d+)"', r'^vpc_cidr +=\s*"(\S+)"'):
        files = [folder / f"{environment}.tfvars" for environment in ENVIRONMENTS]
        values = [re.findall(pattern, file.read_text(), re.MULTILINE)[0] for file in files]
        assert len(set(values)) == len(ENVIRONMENTS)
    buckets = {
        re.findall(r'bucket += "(.+)"', (folder / f"{environment}.s3.tfbackend").read_text())[0]
        for environment in ENVIRONMENTS
    }
    assert len(buckets) == len(ENVIRONMENTS)


def test_providers_are_pinned_exactly_and_tag_everything() -> None:
    for state in STATES:
        text = (ROOT / "terraform" / state / "versions.tf").read_text()
        versions = re.findall(r'^\s+version += "(.+)"', text, re.MULTILINE)
        assert versions and all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions)
        assert 'backend "s3"' in text
    base = (ROOT / "terraform/versions.tf").read_text()
    assert "default_tags" in base and "allowed_account_ids" in base


def test_the_published_policy_is_the_controllers_and_no_wider() -> None:
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
