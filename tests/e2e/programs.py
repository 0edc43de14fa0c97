"""Kubernetes' and Argo CD's programs, built from the Go modules that go.mod and go.sum here pin."""

import hashlib
import os
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from tests.e2e.paths import LOGS, PROGRAMS
from tests.e2e.processes import Failed, run, say

HERE = Path(__file__).parent
TELL = 30
"""Seconds between two words of a build that goes on."""


class Module(NamedTuple):
    """A folder with a go.mod, the module in it whose version counts, the variables that say so,
    and what is built of it."""

    name: str
    module: str
    variables: dict[str, str]
    minutes: int
    packages: dict[str, str]


MODULES = (
    Module(
        "kubernetes",
        "k8s.io/kubernetes",
        {
            f"k8s.io/component-base/version.{name}": value
            for name, value in {
                "gitVersion": "v{0}.{1}.{2}",
                "gitMajor": "{0}",
                "gitMinor": "{1}",
            }.items()
        },
        5,
        {
            name: f"k8s.io/kubernetes/cmd/{name}"
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kube-proxy",
                "kubelet",
            )
        }
        | {
            "etcd": "go.etcd.io/etcd/server/v3",
            "kustomize": "sigs.k8s.io/kustomize/kustomize/v5",
        },
    ),
    Module(
        "argocd",
        "github.com/argoproj/argo-cd/v3",
        {"github.com/argoproj/argo-cd/v3/common.version": "{0}.{1}.{2}"},
        4,
        {"argocd": "github.com/argoproj/argo-cd/v3/cmd"},
    ),
)
ENVIRONMENT = {"GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0"}


def version(module: Module) -> str:
    """The version that go.mod pins, as 1.2.3."""
    folder = HERE / module.name
    found = run("go", "list", "-m", "-f", "{{.Version}}", module.module, folder=folder)
    return found.strip().removeprefix("v")


def sources(name: str) -> Path:
    """Where the module's files are, for what it has beside programs."""
    module = next(module for module in MODULES if module.name == name)
    found = run(
        *("go", "list", "-m", "-f", "{{.Dir}}", module.module),
        folder=HERE / name,
        **ENVIRONMENT,
    )
    return Path(found.strip())


def build() -> None:
    """Build what is not built yet, which takes minutes the first time. Raises Failed."""
    for module in MODULES:
        folder = HERE / module.name
        pinned = b"".join((folder / name).read_bytes() for name in ("go.mod", "go.sum"))
        stamp = PROGRAMS / f"{module.name}.sha256"
        key = hashlib.sha256(pinned + repr(module).encode()).hexdigest()
        if stamp.is_file() and stamp.read_text() == key:
            continue
        release = version(module)
        about = f"{module.name} {release}"
        say(f"building {about}; about {module.minutes} minutes with nothing built before")
        stamp.unlink(missing_ok=True)
        variables = {
            name: value.format(*release.split(".")) for name, value in module.variables.items()
        }
        flags = " ".join(("-s -w", *(f"-X {name}={value}" for name, value in variables.items())))
        for program, package in module.packages.items():
            _go_build(folder, flags, PROGRAMS / program, package)
        stamp.write_text(key)
        say(f"built {about}")


def _go_build(folder: Path, flags: str, program: Path, package: str) -> None:
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"build-{program.name}.log"
    command = ("go", "build", "-ldflags", flags, "-o", str(program), package)
    with log.open("wb") as output:
        build = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **ENVIRONMENT},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            started = time.monotonic()
            while True:
                try:
                    code = build.wait(TELL)
                    break
                except subprocess.TimeoutExpired:
                    say(f"  {program.name}: {time.monotonic() - started:.0f} s")
        finally:
            build.kill()
            build.wait()
    if code != 0:
        raise Failed(f"{' '.join(command)}: exit code {code}\n{log.read_text()}")


if __name__ == "__main__":
    build()
