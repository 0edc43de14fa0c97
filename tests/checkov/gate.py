"""`make checkov`: static analysis of what deploys, with a gate that an empty scan does not pass.

checkov exits with 0 when it found nothing to scan, when it could not parse a file, and, for
kustomize, when kubectl is missing. So each scan says what has to be among what was checked. Of
several overlays with the same resources checkov keeps one: each is a scan of its own.
"""

import json
import random
import shutil
import string
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
CHECKOV = ROOT / ".venv/checkov/bin/checkov"
CONFIG = ROOT / ".checkov.yaml"

CANARY = "canary.py"
"""A file with a key in it, which the scan for secrets has to find."""

RUNS = ("Deployment", "Job", "Service", "ServiceAccount", "Ingress", "ConfigMap")


TERRAFORM = (
    "/eks.tf aws_eks_cluster.this",
    "/docdb.tf aws_docdb_cluster.this",
    "/network.tf aws_vpc.this",
    "/ecr.tf aws_ecr_repository.this",
    "/iam.tf aws_iam_role.this",
    "/github_oidc.tf aws_iam_role.release",
    "/monitoring.tf aws_cloudwatch_log_group.this",
    "/main.tf aws_kms_key.data",
    "/bootstrap/main.tf aws_s3_bucket.state",
)


class Scan(NamedTuple):
    """One framework on one folder, and what must occur in the names of what was checked."""

    framework: str
    folder: Path
    expected: tuple[str, ...]


class Result(NamedTuple):
    """What a scan found; `complaints` is empty when all is well."""

    passed: int
    skipped: int
    complaints: list[str]


def scans(root: Path) -> list[Scan]:
    """Everything that is scanned in the repository at `root`."""
    overlays = sorted((root / "apps/game-api/overlays").iterdir())
    workflows = sorted((root / ".github/workflows").glob("*.y*ml"))
    return [
        *(
            Scan("kustomize", overlay, tuple(f":{overlay.name}:{kind}." for kind in RUNS))
            for overlay in overlays
        ),
        Scan("kubernetes", root, tuple(f" {kind}." for kind in RUNS if kind != "ConfigMap")),
        Scan("terraform", root / "terraform", TERRAFORM),
        Scan("dockerfile", root, ("/Dockerfile ",)),
        Scan("github_actions", root, tuple(f"/{workflow.name} " for workflow in workflows)),
        Scan("secrets", root, (f"/{CANARY} ",)),
    ]


def run(scan: Scan) -> Result:
    """Scan, and hold the report against what was expected of it."""
    if scan.framework != "secrets":
        return run_in(scan.folder, scan)
    with tempfile.TemporaryDirectory() as folder:
        copy_with_canary(scan.folder, Path(folder))
        return run_in(Path(folder), scan)


def copy_with_canary(root: Path, folder: Path) -> None:
    """What a commit would hold, and one more file, with a key of nobody's."""
    files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.check_output(files, cwd=root, text=True).split("\0"):
        if name and (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, folder / name)
    key = "AKIA" + "".join(random.choices(string.ascii_uppercase, k=16))
    (folder / CANARY).write_text(f'key = "{key}"\n')


def run_in(folder: Path, scan: Scan) -> Result:
    command = [str(CHECKOV), "--config-file", str(CONFIG), "--output", "json"]
    where = ["--framework", scan.framework, "--directory", str(folder)]
    if scan.framework == "terraform":  # dev has every part; without its values some are not seen
        where += ["--var-file", str(folder / "environments/dev.tfvars")]
    done = subprocess.run(command + where, cwd=folder, capture_output=True, text=True)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        return Result(0, 0, [f"checkov failed: {done.stderr.strip() or done.stdout.strip()}"])
    results: dict[str, Any] = report.get("results", {})
    checked = [
        f"{check['file_path']} {check['resource']}"
        for outcome in ("passed_checks", "failed_checks", "skipped_checks")
        for check in results.get(outcome, [])
    ]
    complaints = [f"could not parse {file}" for file in results.get("parsing_errors", [])]
    complaints += [
        f"checked nothing like {expected.strip()!r}"
        for expected in scan.expected
        if not any(expected in name for name in checked)
    ]
    for check in results.get("failed_checks", []):
        if check["file_path"] == f"/{CANARY}":
            continue
        lines = "-".join(str(line) for line in check["file_line_range"])
        complaints.append(
            f"{check['check_id']} {check['file_path']}:{lines} {check['resource']}: "
            f"{check['check_name']}"
        )
    for check in results.get("skipped_checks", []):
        reason = check["check_result"].get("suppress_comment")
        if not reason or reason == "No comment provided":  # checkov's own words
            complaints.append(
                f"{check['check_id']} has no reason to be skipped: {check['resource']}"
            )
    passed, skipped = (len(results.get(f"{name}_checks", [])) for name in ("passed", "skipped"))
    return Result(passed, skipped, complaints)


def main() -> None:
    """Print a line for each scan and each complaint; exit with 1 if there is one."""
    everything = scans(ROOT)
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(run, everything))
    print(f"{'framework':15} {'folder':33} {'passed':>6} {'skipped':>7} {'failed':>6}")
    for scan, result in zip(everything, results):
        folder = str(scan.folder.relative_to(ROOT))
        count = len(result.complaints)
        print(f"{scan.framework:15} {folder:33} {result.passed:6} {result.skipped:7} {count:6}")
        for complaint in result.complaints:
            print(f"  {complaint}")
    sys.exit(any(result.complaints for result in results))


if __name__ == "__main__":
    main()
