"""The report: a Markdown table of the tests, printed at the end and written to a file."""

import os
import time
from dataclasses import dataclass, field

from tests.e2e.paths import REPORT
from tests.e2e.programs import MODULES, version
from tests.e2e.releases import git


@dataclass
class Row:
    """One test: its description, outcome, measurements, and duration in seconds."""

    description: str
    outcome: str
    measurements: list[str]
    seconds: float


@dataclass
class Report:
    """The rows of all tests that have run."""

    rows: list[Row] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def markdown(self) -> str:
        versions = " ".join(f"{module.name} {version(module)}," for module in MODULES)
        lines = [
            f"Commit {git('rev-parse', '--short=12', 'origin/main')}, {versions}"
            f" {os.cpu_count()} cores, {time.monotonic() - self.started:.0f} s in total.",
            "",
            "| Test | Result | Measured | Seconds |",
            "|---|---|---|---:|",
        ]
        for row in self.rows:
            # A cell is one line, and a message of Argo CD can contain anything.
            measurements = " ".join("; ".join(row.measurements).split()).replace("|", "\\|")
            lines.append(
                f"| {row.description} | {row.outcome} | {measurements} | {row.seconds:.0f} |"
            )
        return "\n".join(lines) + "\n"

    def write(self) -> None:
        REPORT.write_text(self.markdown())
