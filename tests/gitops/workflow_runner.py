"""Runs the scripts of the workflows, as GitHub does."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.gitops.clones import IDENTITY
from tests.gitops.tree import ROOT, Tree
from tests.gitops.workflow_rules import steps

WORKFLOWS = Tree().workflows()
BIN = Path(sys.executable).parent

MAKE = f"""\
makefile={ROOT}/Makefile
case $1 in
  bump|promote|rollback|check-promotion)
    exec {shutil.which("make")} -f $makefile -o .venv/base BIN={BIN} "$@" ;;
  *) exec {shutil.which("make")} -C {ROOT} --dry-run --always-make "$@" ;;
esac"""


class Runner:
    """Runs the script of a workflow step in a clone, as GitHub does.

    `aws`, `cosign`, `docker`, `gh`, `npm`, `pip` and `uv` are fakes that only record how they were
    called. `make` runs the commands of `gitops`, and only prints those of other targets. All other
    programs are real.
    """

    def __init__(self, folder: Path, clone: Path) -> None:
        self.clone = clone
        self.calls = folder / "calls"
        self.outputs = folder / "outputs"
        self.tools = folder / "tools"
        self.tools.mkdir()
        self.calls.touch()
        self.outputs.touch()
        for name in ("aws", "cosign", "docker", "gh", "npm", "pip", "uv"):
            self.fake(name, "")
        self.write_tool("make", MAKE)

    def fake(self, name: str, output: str) -> None:
        """Replace a program with one that records its calls and prints the output."""
        self.write_tool(name, f'echo "{name} $*" >>"{self.calls}"; printf "%s" "{output}"')

    def write_tool(self, name: str, script: str) -> None:
        (self.tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.tools / name).chmod(0o755)

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        result = self.try_to_run(script, **environment)
        assert result.returncode == 0, result.stderr
        return result

    def try_to_run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
            cwd=self.clone,
            env={
                **os.environ,
                **IDENTITY,
                "PATH": f"{self.tools}:{os.environ['PATH']}",
                "GITHUB_OUTPUT": str(self.outputs),
                **environment,
            },
            capture_output=True,
            text=True,
        )


def script(workflow: str, containing: str) -> str:
    """The only script of a workflow that contains this text."""
    (text,) = [
        step["run"] for step in steps(WORKFLOWS[workflow]) if containing in step.get("run", "")
    ]
    return str(text)
