"""`make checkov`: static analysis of everything that is deployed. An empty scan fails.

checkov exits with 0 when it finds nothing to scan, when it cannot parse a file and, for kustomize,
when kubectl is missing. Each scan therefore lists resources that must be among the checked ones.
Each overlay has its own scan: if several overlays have the same resources, checkov keeps one.
"""

import json
import random
import shutil
import string
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CHECKOV = ROOT / ".venv/checkov/bin/checkov"
CONFIG = ROOT / ".checkov.yaml"

CANARY = "canary.py"
"""A file with a made-up key, which the scan for secrets has to find."""

KINDS = ("Deployment", "Job", "Service", "ServiceAccount", "Ingress", "ConfigMap")

TERRAFORM_RESOURCES = (
    "/eks.tf aws_eks_cluster.this",
    "/docdb.tf aws_docdb_cluster.this",
    "/network.tf aws_vpc.this",
    "/registry/main.tf aws_ecr_repository.this",
    "/iam.tf aws_iam_role.this",
    "/registry/main.tf aws_iam_role.release",
    "/monitoring.tf aws_cloudwatch_log_group.this",
    "/main.tf aws_kms_key.data",
    "/waf.tf aws_wafv2_web_acl.this",
    "/bootstrap/main.tf aws_s3_bucket.state",
)


class Scan(NamedTuple):
    """A scan of a folder of the repository at `root`.

    Each text in `expected` must occur in the name of a checked resource.
    """

    framework: str
    root: Path
    folder: Path
    """Relative to `root`."""
    expected: tuple[str, ...]


class Result(NamedTuple):
    """The result of a scan. The scan succeeded if `problems` is empty."""

    passed: int
    skipped: int
    problems: list[str]


def scans(root: Path) -> list[Scan]:
    """All scans of the repository at `root`."""
    overlays = sorted((root / "apps/game-api/overlays").iterdir())
    workflows = sorted((root / ".github/workflows").glob("*.y*ml"))
    here = Path(".")
    return [
        *(
            Scan(
                "kustomize",
                root,
                overlay.relative_to(root),
                tuple(f":{overlay.name}:{kind}." for kind in KINDS),
            )
            for overlay in overlays
        ),
        Scan("kubernetes", root, here, tuple(f" {k}." for k in KINDS if k != "ConfigMap")),
        Scan("terraform", root, Path("terraform"), TERRAFORM_RESOURCES),
        Scan("dockerfile", root, here, ("/Dockerfile ",)),
        Scan("github_actions", root, here, tuple(f"/{w.name} " for w in workflows)),
        Scan("secrets", root, here, (f"/{CANARY} ",)),
    ]


def run(scan: Scan) -> Result:
    """Run the scan on a copy of the files that git does not ignore."""
    with tempfile.TemporaryDirectory() as folder:
        copy_with_canary(scan.root, Path(folder))
        return run_in(Path(folder) / scan.folder, scan)


def copy_with_canary(root: Path, folder: Path) -> None:
    """Copy the files that git does not ignore to `folder`, and add a file with a made-up key."""
    files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(files, cwd=root, text=True).split("\0"):
        if name and (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, folder / name)
    key = "AKIA" + "".join(random.choices(string.ascii_uppercase, k=16))
    (folder / CANARY).write_text(f'key = "{key}"\n')


def run_in(folder: Path, scan: Scan) -> Result:
    command = [str(CHECKOV), "--config-file", str(CONFIG), "--output", "json"]
    command += ["--framework", scan.framework, "--directory", str(folder)]
    if scan.framework == "terraform":
        # Without the values of an environment, checkov does not see some of the resources.
        command += ["--var-file", str(folder / "environments/dev.tfvars")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        return Result(0, 0, [f"checkov failed: {done.stderr.strip() or done.stdout.strip()}"])
    results: dict[str, Any] = report.get("results", {})
    passed, skipped = (len(results.get(f"{name}_checks", [])) for name in ("passed", "skipped"))
    problems = [*coverage_problems(results, scan), *check_problems(results)]
    return Result(passed, skipped, problems)


def coverage_problems(results: dict[str, Any], scan: Scan) -> Iterator[str]:
    """A message for each file that was not parsed, and each expected text that no check has."""
    for file in results.get("parsing_errors", []):
        yield f"could not parse {file}"
    checked = [
        f"{check['file_path']} {check['resource']}"
        for outcome in ("passed_checks", "failed_checks", "skipped_checks")
        for check in results.get(outcome, [])
    ]
    for expected in scan.expected:
        if not any(expected in name for name in checked):
            yield f"no checked resource matches {expected.strip()!r}"


def check_problems(results: dict[str, Any]) -> Iterator[str]:
    """A message for each failed check, and each check that is skipped without a reason."""
    for check in results.get("failed_checks", []):
        if check["file_path"] != f"/{CANARY}":
            lines = "-".join(str(line) for line in check["file_line_range"])
            place = f"{check['file_path']}:{lines} {check['resource']}"
            yield f"{check['check_id']} {place}: {check['check_name']}"
    for check in results.get("skipped_checks", []):
        reason = check["check_result"].get("suppress_comment")
        if not reason or reason == "No comment provided":  # checkov's text for a missing reason
            yield f"{check['check_id']} is skipped without a reason: {check['resource']}"


def main() -> None:
    """Print a line for each scan and each problem. Exit with 1 if there is a problem."""
    all_scans = scans(ROOT)
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(run, all_scans))
    print(f"{'framework':15} {'folder':33} {'passed':>6} {'skipped':>7} {'failed':>6}")
    for scan, result in zip(all_scans, results):
        folder = str(scan.folder)
        count = len(result.problems)
        print(f"{scan.framework:15} {folder:33} {result.passed:6} {result.skipped:7} {count:6}")
        for problem in result.problems:
            print(f"  {problem}")
    sys.exit(any(result.problems for result in results))


if __name__ == "__main__":
    main()
