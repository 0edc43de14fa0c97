"""What was shown, as a table: printed at the end, and written for the documentation."""

import os
import time
from dataclasses import dataclass, field

from tests.e2e.paths import REPORT
from tests.e2e.programs import MODULES, version
from tests.e2e.releases import git


@dataclass
class Row:
    """One test: what it shows, its outcome, what it measured, and the seconds it took."""

    shown: str
    outcome: str
    measured: list[str]
    seconds: float


@dataclass
class Report:
    rows: list[Row] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def markdown(self) -> str:
        versions = " ".join(f"{module.name} {version(module)}," for module in MODULES)
        lines = [
            f"Commit {git('rev-parse', '--short=12', 'origin/main')}, {versions}"
            f" {os.cpu_count()} cores, {time.monotonic() - self.began:.0f} s in all.",
            "",
            "| shown | | measured | seconds |",
            "|---|---|---|---:|",
        ]
        for row in self.rows:
            measured = "; ".join(row.measured)
            lines.append(f"| {row.shown} | {row.outcome} | {measured} | {row.seconds:.0f} |")
        return "\n".join(lines) + "\n"

    def write(self) -> None:
        REPORT.write_text(self.markdown())
