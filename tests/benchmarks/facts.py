"""On what a run was made: the machine, the versions and the commit."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.processes import ROOT

PACKAGES = ("uvicorn", "uvloop", "httptools", "fastapi", "starlette", "pydantic", "odmantic") + (
    "pymongo",
    "motor",
    "beanie",
    "orjson",
)


def first_match(pattern: str, path: str) -> str:
    found = re.search(pattern, Path(path).read_text(), re.MULTILINE)
    return found[1] if found else "unknown"


def commit() -> str:
    """The commit, and whether there were changes that are not committed."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ("git", *arguments), cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()

    changes = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "--short=12", "HEAD") + (" with changes" if changes else "")


def facts() -> dict[str, str]:
    """What to print with the results, by its name."""
    kib = int(first_match(r"^MemTotal: +(\d+) kB", "/proc/meminfo"))
    processor = first_match(r"^model name\s*: (.+)", "/proc/cpuinfo")
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": commit(),
        "machine": f"{processor}, {os.cpu_count()} cores, {kib / 1024**2:.0f} GiB of memory",
        "system": f"Linux {platform.release()}, Python {platform.python_version()}",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "database": f"SecantusDB {version('secantusdb')}, one process, which syncs each commit",
    }
