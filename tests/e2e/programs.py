"""Builds the programs of Kubernetes, Argo CD, kube-router and metrics-server from Go modules.

The go.mod and go.sum files in the folders beside this file pin the versions.
"""

import hashlib
import os
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from tests.e2e.paths import LOGS, PROGRAMS
from tests.e2e.processes import Failed, print_progress, run

HERE = Path(__file__).parent
PROGRESS_INTERVAL = 30
"""Seconds between two progress messages of a running build."""


class Module(NamedTuple):
    """A Go module that programs are built from."""

    name: str
    """The folder with the go.mod file."""
    module: str
    """The module in go.mod whose version is the release."""
    variables: dict[str, str]
    """The linker variables that hold the version, and their values as format strings."""
    minutes: int
    """How long the first build takes."""
    packages: dict[str, str]
    """The programs to build, and the package of each."""


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
    Module(
        "kube-router",
        "github.com/cloudnativelabs/kube-router/v2",
        {"github.com/cloudnativelabs/kube-router/v2/pkg/version.Version": "v{0}.{1}.{2}"},
        2,
        {"kube-router": "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"},
    ),
    Module(
        "metrics-server",
        "sigs.k8s.io/metrics-server",
        {"k8s.io/component-base/version.gitVersion": "v{0}.{1}.{2}"},
        1,
        {"metrics-server": "sigs.k8s.io/metrics-server/cmd/metrics-server"},
    ),
)
ENVIRONMENT = {"GOFLAGS": "-mod=readonly -buildvcs=false", "CGO_ENABLED": "0"}


def version(module: Module) -> str:
    """The version that go.mod pins, without the leading v, such as 1.2.3."""
    folder = HERE / module.name
    output = run("go", "list", "-m", "-f", "{{.Version}}", module.module, folder=folder)
    return output.strip().removeprefix("v")


def source_directory(name: str) -> Path:
    """The directory of a module's source files, which also contain manifests."""
    module = next(module for module in MODULES if module.name == name)
    output = run(
        *("go", "list", "-m", "-f", "{{.Dir}}", module.module),
        folder=HERE / name,
        **ENVIRONMENT,
    )
    return Path(output.strip())


def build() -> None:
    """Build the programs that are missing or outdated. Raises Failed if a build fails.

    The first build takes several minutes.
    """
    for module in MODULES:
        folder = HERE / module.name
        pinned = b"".join((folder / name).read_bytes() for name in ("go.mod", "go.sum"))
        stamp = PROGRAMS / f"{module.name}.sha256"
        key = hashlib.sha256(pinned + repr(module).encode()).hexdigest()
        if stamp.is_file() and stamp.read_text() == key:
            continue
        release = version(module)
        name_and_version = f"{module.name} {release}"
        print_progress(
            f"building {name_and_version}; the first build takes about {module.minutes} minutes"
        )
        stamp.unlink(missing_ok=True)
        variables = {
            name: value.format(*release.split(".")) for name, value in module.variables.items()
        }
        flags = " ".join(("-s -w", *(f"-X {name}={value}" for name, value in variables.items())))
        for program, package in module.packages.items():
            _go_build(folder, flags, PROGRAMS / program, package)
        stamp.write_text(key)
        print_progress(f"built {name_and_version}")


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
                    code = build.wait(PROGRESS_INTERVAL)
                    break
                except subprocess.TimeoutExpired:
                    print_progress(f"  {program.name}: {time.monotonic() - started:.0f} s")
        finally:
            build.kill()
            build.wait()
    if code != 0:
        raise Failed(f"{' '.join(command)}: exit code {code}\n{log.read_text()}")


if __name__ == "__main__":
    build()
