"""`make infra-*` runs Terraform in the right order, and stops before it could do harm."""

import json
import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.gitops.tree import ROOT
from tests.service import free_port

TERRAFORM = """#!/bin/sh
echo "$@" >>"$CALLS"
case "$*" in
  *"output -json cluster") printf '%s' "$CLUSTER" ;;
  *"plan -destroy"*) exit "$PLAN" ;;
esac
"""
"""Records how it is called, in the place of Terraform."""


class Api(BaseHTTPRequestHandler):
    """The API of a cluster, to somebody without a token."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Do not print each request."""


@pytest.fixture
def api() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Api) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Make:
    """Runs `make` with a stand-in for Terraform; `calls` are its arguments."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "terraform"
        program.write_text(TERRAFORM)
        program.chmod(0o755)

    def __call__(
        self, target: str, environment: str, endpoint: str = "", plan: int = 0
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "-C", str(ROOT), target, f"ENV={environment}"],
            env={
                **os.environ,
                "PATH": f"{self.folder}:{os.environ['PATH']}",
                "CALLS": str(self.folder / "calls"),
                "CLUSTER": json.dumps({"name": "game-session-cluster", "endpoint": endpoint}),
                "PLAN": str(plan),
            },
            capture_output=True,
            text=True,
        )

    @property
    def calls(self) -> list[str]:
        file = self.folder / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        # `init` and `output` change nothing.
        return [line for line in lines if " init " not in line and " output " not in line]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return Make(tmp_path)


def test_argo_cd_is_applied_after_the_base(make: Make, api: str) -> None:
    result = make("infra-apply", "dev", api)
    assert result.returncode == 0, result.stderr
    assert make.calls == [
        "-chdir=terraform apply -var-file=environments/dev.tfvars",
        "-chdir=terraform/argocd apply -var-file=../environments/dev.argocd.tfvars",
    ]


def test_a_cluster_that_nobody_reaches_is_one_clear_line(make: Make) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    result = make("infra-apply", "dev", endpoint)
    assert result.returncode != 0 and len(make.calls) == 1
    assert f"the cluster's API at {endpoint} does not answer: connect to" in result.stderr


def test_without_a_cluster_argo_cd_cannot_be_planned(make: Make) -> None:
    result = make("infra-plan", "dev")
    assert result.returncode != 0 and len(make.calls) == 1
    assert "there is no cluster yet" in result.stderr


def test_a_protected_environment_keeps_argo_cd(make: Make) -> None:
    result = make("infra-destroy", "staging", plan=1)
    assert result.returncode != 0
    assert make.calls == ["-chdir=terraform plan -destroy -var-file=environments/staging.tfvars"]


def test_argo_cd_is_destroyed_before_the_base(make: Make) -> None:
    result = make("infra-destroy", "staging")
    assert result.returncode == 0, result.stderr
    assert make.calls[1:] == [
        "-chdir=terraform/argocd destroy -var-file=../environments/staging.argocd.tfvars",
        "-chdir=terraform destroy -var-file=environments/staging.tfvars",
    ]


def test_the_registry_is_applied_and_not_destroyed(make: Make) -> None:
    assert make("infra-apply", "registry").returncode == 0
    applied = "-chdir=terraform/registry apply -var-file=../environments/registry.tfvars"
    assert make.calls == [applied]
    result = make("infra-destroy", "registry")
    assert result.returncode != 0 and "the registry can't be destroyed" in result.stderr
    assert make.calls == [applied]


def test_an_unknown_environment_is_one_clear_line(make: Make) -> None:
    result = make("infra-plan", "production")
    assert result.returncode != 0 and make.calls == []
    assert "there is no environment 'production'; set ENV to" in result.stderr
