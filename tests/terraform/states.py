"""The two states, built by Terraform with made-up providers: nothing is asked of AWS."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.gitops.tree import ROOT, requires

ENVIRONMENTS = ("dev", "staging", "prod")
STATES = {".": "{}.tfvars", "argocd": "{}.argocd.tfvars"}
"""Each state's folder below terraform/, and the name of its variables in environments/."""

SKIPPED = {".terraform", ".terraform.lock.hcl", "terraform.tfstate"}


class Resource(NamedTuple):
    """A resource as Terraform would make it, with what the provider would compute made up."""

    address: str
    type: str
    values: dict[str, Any]


class Outcome(NamedTuple):
    """What `terraform test` said."""

    passed: bool
    text: str
    resources: list[Resource]
    outputs: dict[str, Any]


class Terraform:
    """A copy of terraform/, initialised once; `root` may be changed at will."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, state: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        return subprocess.run(
            [requires("terraform", "https://developer.hashicorp.com/terraform/install")]
            + [f"-chdir={self.root / state}", *arguments],
            env=environment,
            capture_output=True,
            text=True,
        )

    def test(self, state: str, environment: str) -> Outcome:
        """Run a state's tests with an environment's variables."""
        variables = self.root / "environments" / STATES[state].format(environment)
        options = ("-no-color", "-json", "-verbose", f"-var-file={variables}")
        done = self.run(state, "test", *options)
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        texts = [done.stderr]
        for event in events:
            if diagnostic := event.get("diagnostic"):
                texts.append(f"{diagnostic['summary']}: {diagnostic.get('detail', '')}")
        built: dict[str, Any] = next(
            (event["test_state"] for event in events if "test_state" in event), {}
        )
        module = built.get("root_module", {})
        resources = [
            Resource(found["address"], found["type"], found["values"])
            for found in module.get("resources", [])
            if found["mode"] == "managed"
        ]
        outputs = {name: output["value"] for name, output in built.get("outputs", {}).items()}
        return Outcome(done.returncode == 0, "\n".join(texts), resources, outputs)

    def copy(self, folder: Path) -> "Terraform":
        """A copy to make mistakes in; what `init` downloaded is shared."""
        copied = shutil.copytree(self.root, folder / "terraform", symlinks=True)
        return Terraform(copied)


def initialised(folder: Path) -> Terraform:
    """The repository's terraform/, ready to be tested; skipped where no provider can be had."""
    shutil.copytree(
        ROOT / "terraform", folder / "terraform", ignore=shutil.ignore_patterns(*SKIPPED)
    )
    terraform = Terraform(folder / "terraform")
    for state in (*STATES, "bootstrap"):
        done = terraform.run(state, "init", "-backend=false", "-no-color", "-input=false")
        if done.returncode != 0:
            reason = "terraform init found no providers (no network, and TF_CLI_CONFIG_FILE names "
            reason += f"no mirror): {' '.join(done.stderr.split())[:300]}"
            (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return terraform
