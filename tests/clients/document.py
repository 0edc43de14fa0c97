"""The rules of spectral and redocly for the OpenAPI document; warnings count as errors."""

import shutil

from tests.clients.building import SCRATCH, SOURCES, Result, StepFailed, run, run_once
from tests.clients.generators import Command

NAME = "document"
PROGRAMS = ("node", "npm")
INSTALL: Command = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
LINTERS: tuple[Command, ...] = (
    ("npm", "exec", "--", "spectral", "lint", "--fail-severity=hint", "../openapi.json"),
    ("npm", "exec", "--", "redocly", "lint", "--extends=recommended-strict", "../openapi.json"),
)


def lint() -> Result:
    """Check the document with both linters."""
    result = Result(NAME)
    folder = SCRATCH / NAME
    shutil.copytree(SOURCES / NAME, folder, dirs_exist_ok=True, ignore=lambda *_: ["node_modules"])
    try:
        with result.step("prepared"):
            run_once((INSTALL,), folder, [folder / "package-lock.json"], folder / "prepared")
        with result.step("tests"):
            for linter in LINTERS:
                run(linter, folder)
    except StepFailed:
        pass
    return result
