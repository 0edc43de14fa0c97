"""Run the tests of the Terraform configurations. The providers are mocked, so AWS is not called."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.gitops.tree import ROOT, requires

ENVIRONMENTS = ("dev", "staging", "prod")
CONFIGURATIONS = {".": "{}.tfvars", "argocd": "{}.argocd.tfvars", "registry": "registry.tfvars"}
"""Each configuration's folder in terraform/, and its variables file in environments/."""

ONE_REGISTRY = "all environments"
"""Stands for the environment of the registry, which belongs to none."""

NOT_COPIED = {".terraform", ".terraform.lock.hcl", "terraform.tfstate"}


class Resource(NamedTuple):
    """A resource that Terraform would create. Its computed values are mock values."""

    address: str
    type: str
    values: dict[str, Any]


class Outcome(NamedTuple):
    """The outcome of `terraform test`."""

    passed: bool
    diagnostics: str
    resources: list[Resource]
    outputs: dict[str, Any]


class Terraform:
    """An initialised copy of terraform/ in the folder `root`. Tests may change the files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, configuration: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = requires("terraform", "https://developer.hashicorp.com/terraform/install")
        return subprocess.run(
            [program, f"-chdir={self.root / configuration}", *arguments],
            env={**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
        )

    def test(self, configuration: str, environment: str, *options: str) -> Outcome:
        """Run the tests of a configuration with the variables of an environment."""
        name = CONFIGURATIONS[configuration].format(environment)
        variables = self.root / "environments" / name
        options = ("-no-color", "-json", "-verbose", f"-var-file={variables}", *options)
        result = self.run(configuration, "test", *options)
        events = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
        diagnostics = [result.stderr]
        for event in events:
            if diagnostic := event.get("diagnostic"):
                diagnostics.append(f"{diagnostic['summary']}: {diagnostic.get('detail', '')}")
        state: dict[str, Any] = next(
            (event["test_state"] for event in events if "test_state" in event), {}
        )
        resources = [
            Resource(resource["address"], resource["type"], resource["values"])
            for resource in state.get("root_module", {}).get("resources", [])
            if resource["mode"] == "managed"
        ]
        outputs = {name: output["value"] for name, output in state.get("outputs", {}).items()}
        return Outcome(result.returncode == 0, "\n".join(diagnostics), resources, outputs)

    def copy(self, folder: Path) -> "Terraform":
        """A copy that a test may change. It links to the providers that `init` downloaded."""
        copied = shutil.copytree(self.root, folder / "terraform", symlinks=True)
        return Terraform(copied)


def initialise(folder: Path) -> Terraform:
    """Copy the repository's terraform/ to the folder and initialise it.

    If no providers are available, the test is skipped. In CI it fails.
    """
    shutil.copytree(
        ROOT / "terraform", folder / "terraform", ignore=shutil.ignore_patterns(*NOT_COPIED)
    )
    terraform = Terraform(folder / "terraform")
    for file in (folder / "terraform").rglob("*.tf"):
        # `terraform test` destroys what it has created.
        file.write_text(
            file.read_text().replace("prevent_destroy = true", "prevent_destroy = false")
        )
    for configuration in (*CONFIGURATIONS, "bootstrap"):
        result = terraform.run(configuration, "init", "-backend=false", "-no-color", "-input=false")
        if result.returncode != 0:
            reason = (
                "terraform init needs a network connection, or a mirror in TF_CLI_CONFIG_FILE, "
            )
            reason += f"to install the providers: {' '.join(result.stderr.split())[:300]}"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return terraform
