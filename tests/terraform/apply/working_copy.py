"""Copies of the configurations that a real provider applies to a simulated AWS."""

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.gitops.tree import ROOT, requires
from tests.terraform.apply.cloud import Cloud
from tests.terraform.configurations import NOT_COPIED

SETTING = "TERRAFORM_PROVIDERS"
"""The environment variable with the folder of a filesystem mirror that has the AWS provider."""

PINNED = re.compile(r'(source  = "hashicorp/aws"\n +version = )"[\d.]+"')
"""Where a configuration pins the version of the provider."""

UNKNOWN_TO_5 = (
    ("eks.tf", "  deletion_protection       = var.protected\n", ""),
    (
        "cognito.tf",
        """resource "aws_cognito_managed_login_branding" "player" {
  count = length(aws_cognito_user_pool.this)

  user_pool_id                = aws_cognito_user_pool.this[0].id
  client_id                   = aws_cognito_user_pool_client.player[0].id
  use_cognito_provided_values = true
}
""",
        "",
    ),
    ("registry/main.tf", '"IMMUTABLE_WITH_EXCLUSION"', '"IMMUTABLE"'),
    (
        "registry/main.tf",
        """  image_tag_mutability_exclusion_filter {
    filter      = "sha256-*"
    filter_type = "WILDCARD"
  }
""",
        "",
    ),
)
"""What version 5 of the provider does not know: a file, the text in it, and its replacement."""

SERVICES = "budgets cloudwatch docdb ec2 ecr iam kms logs s3 secretsmanager sns sts wafv2".split()

DIFFERENCES_OF_MOTO = """
resource "aws_launch_template" "nodes" {
  lifecycle {
    ignore_changes = [tag_specifications] # moto adds the tags of the template to them
  }
}
resource "aws_docdb_cluster" "this" {
  lifecycle {
    ignore_changes = [storage_type] # moto answers gp2
  }
}
resource "aws_vpc_security_group_ingress_rule" "database" {
  lifecycle {
    ignore_changes = [description] # moto forgets it if the source is a security group
  }
}
resource "aws_docdb_cluster_instance" "this" {
  lifecycle {
    ignore_changes = [ca_cert_identifier] # moto keeps its own
  }
}
"""

OVERRIDE = """
terraform {{
  backend "local" {{}}
}}

provider "aws" {{
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
  max_retries                 = 3

  endpoints {{
    {endpoints}
  }}
}}
"""


class Plan(NamedTuple):
    """A plan of Terraform. An empty one has no changes."""

    failed: bool
    output: str
    changes: dict[str, str]
    """The actions by address, such as `update`, or `create, delete` for a replacement."""
    attributes: dict[str, set[str]]
    """The attributes that change, by address, for what is updated or replaced."""


class WorkingCopy:
    """A configuration for one environment, with a state of its own."""

    def __init__(self, folder: Path, cloud: Cloud, configuration: str, variables: str) -> None:
        """`variables` is the name of a file in terraform/environments/."""
        self.root = folder / "terraform"
        self.folder = self.root / configuration
        self.variables = self.root / "environments" / variables
        self._settings: dict[str, Any] = {}
        self._program = requires("terraform", "https://developer.hashicorp.com/terraform/install")
        mirror, version = provider()
        shutil.copytree(
            ROOT / "terraform", self.root, ignore=shutil.ignore_patterns(*NOT_COPIED, "tests")
        )
        self._adapt(version)
        endpoints = {service: cloud.endpoint for service in SERVICES}
        endpoints |= {service: cloud.eks_endpoint for service in ("eks", "ssm")}
        lines = "\n    ".join(f'{name} = "{url}"' for name, url in endpoints.items())
        override = OVERRIDE.format(endpoints=lines)
        if configuration == ".":
            override += DIFFERENCES_OF_MOTO
        (self.folder / "simulated_override.tf").write_text(override)
        config = folder / "terraform.rc"
        config.write_text(
            f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n'
        )
        self._environment = {
            **os.environ,
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": str(config),
            "TF_IN_AUTOMATION": "1",
        }
        result = self.run("init")
        assert result.returncode == 0, result.stderr

    def _adapt(self, version: str) -> None:
        file = self.folder / "versions.tf"
        text, pins = PINNED.subn(rf'\g<1>"{version}"', file.read_text())
        assert pins == 1, f"{file} pins no version of the provider"
        file.write_text(text)
        if version.startswith("5."):
            for name, old, new in UNKNOWN_TO_5:
                text = (self.root / name).read_text()
                assert old in text, f"{name} does not contain {old!r}"
                (self.root / name).write_text(text.replace(old, new))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Terraform. Its messages are one line, without Terraform's borders."""
        result = subprocess.run(
            [self._program, f"-chdir={self.folder}", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
        )
        result.stderr = " ".join(result.stderr.replace("│", " ").split())
        return result

    def set(self, **settings: Any) -> None:
        """Change variables from now on."""
        self._settings |= settings

    @contextmanager
    def _with(self, settings: dict[str, Any]) -> Iterator[list[str]]:
        """The arguments that name the variables, with these settings in addition."""
        file = self.folder / "changed.auto.tfvars.json"
        file.write_text(json.dumps(self._settings | settings))
        # The file with the changes comes last, so that it wins.
        yield ["-no-color", "-input=false", f"-var-file={self.variables}", f"-var-file={file}"]

    def plan(self, **settings: Any) -> Plan:
        """Plan with these settings, which are not kept. Nothing is changed."""
        with self._with(settings) as arguments:
            result = self.run("plan", "-out=plan", *arguments)
        if result.returncode != 0:
            return Plan(True, result.stderr, {}, {})
        shown = self.run("show", "-json", "plan")
        assert shown.returncode == 0, shown.stderr
        changes, attributes = {}, {}
        for resource in json.loads(shown.stdout)["resource_changes"]:
            change = resource["change"]
            if resource["mode"] == "managed" and change["actions"] != ["no-op"]:
                changes[resource["address"]] = ", ".join(change["actions"])
                attributes[resource["address"]] = changed_attributes(change)
        return Plan(False, result.stdout, changes, attributes)

    def apply(self, **settings: Any) -> subprocess.CompletedProcess[str]:
        """Apply with these settings, which are not kept. Does not raise if Terraform fails."""
        with self._with(settings) as arguments:
            return self.run("apply", "-auto-approve", *arguments)

    def destroy(self, **settings: Any) -> subprocess.CompletedProcess[str]:
        """Destroy everything. Does not raise if Terraform fails."""
        with self._with(settings) as arguments:
            return self.run("destroy", "-auto-approve", *arguments)

    def addresses(self) -> list[str]:
        """What is in the state."""
        result = self.run("state", "list")
        return [line for line in result.stdout.splitlines() if not line.startswith("data.")]

    def values(self, address: str) -> dict[str, Any]:
        """The values of a resource in the state."""
        state = json.loads(self.run("show", "-json").stdout)["values"]["root_module"]["resources"]
        found: Mapping[str, dict[str, Any]] = {r["address"]: r["values"] for r in state}
        return found[address]


def changed_attributes(change: dict[str, Any]) -> set[str]:
    before, after = change["before"] or {}, change["after"] or {}
    unknown = {name for name, value in (change["after_unknown"] or {}).items() if value is True}
    names = before.keys() | after.keys() | unknown
    return {name for name in names if name in unknown or before.get(name) != after.get(name)}


def provider() -> tuple[Path, str]:
    """The mirror, and the newest version of the AWS provider in it. Skips the test without one."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    pattern = f"*/hashicorp/aws/*/{platform.system().lower()}_{machine}"
    mirror = Path(os.environ.get(SETTING, "/nonexistent"))
    versions = [folder.parent.name for folder in mirror.glob(pattern)]
    versions = [version for version in versions if re.fullmatch(r"\d+\.\d+\.\d+", version)]
    if not versions:
        reason = f"set {SETTING} to a filesystem mirror with the provider hashicorp/aws, which "
        reason += "`terraform providers mirror` makes"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return mirror, max(versions, key=lambda version: tuple(map(int, version.split("."))))
