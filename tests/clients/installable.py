"""The clients in `clients/`, which people install: their own tests against a running service."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.clients.building import (
    ROOT,
    SCRATCH,
    Result,
    Running,
    StepFailed,
    run,
    run_once,
)
from tests.clients.generators import Command

DOCUMENT = SCRATCH / "openapi.json"
VENV = SCRATCH / "installable-python"
PYTHON = str(VENV / "bin/python")
PIP: Command = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")


@dataclass(frozen=True)
class Client:
    """A client, and the commands that run in its folder."""

    language: str
    programs: tuple[str, ...]
    """The programs that must be installed."""
    pins: tuple[str, ...]
    """The files that pin what it needs; that is installed again if one of them has changed."""
    prepare: tuple[Command, ...]
    generate: Command | None
    """Makes the generated part from the document at $GAME_API_OPENAPI."""
    test: Command
    """Tests the client against the service at $GAME_API_URL, with $GAME_API_TOKEN."""

    @property
    def name(self) -> str:
        return f"clients/{self.language}"

    @property
    def folder(self) -> Path:
        return ROOT / self.name


INSTALLABLE = (
    Client(
        language="typescript",
        programs=("node", "npm"),
        pins=("package.json", "package-lock.json"),
        prepare=(("npm", "ci", "--no-audit", "--no-fund"),),
        generate=("npm", "run", "generate"),
        test=("npm", "test"),
    ),
    Client(
        language="python",
        programs=(),
        pins=("pyproject.toml", "requirements-dev.txt"),
        prepare=(
            (sys.executable, "-m", "venv", "--clear", str(VENV)),
            (*PIP, "--require-hashes", "-r", "requirements-dev.txt"),
            (*PIP, "--no-deps", "--no-build-isolation", "--editable", "."),
        ),
        generate=(PYTHON, "generate"),
        test=(PYTHON, "-m", "pytest", "--quiet"),
    ),
    Client(
        language="unity",
        programs=("mcs", "mono", "npm"),
        pins=(),
        prepare=(),
        generate=None,
        test=("Tests~/run",),
    ),
)


def test(client: Client, running: Running) -> Result:
    """Make the generated part of a client again, and run the tests of the client."""
    result = Result(client.name)
    environment = running.tokens | {
        "GAME_API_URL": running.present,
        "GAME_API_OPENAPI": str(DOCUMENT),
    }
    pins = [client.folder / name for name in client.pins]
    try:
        with result.step("prepared"):
            stamp = SCRATCH / f"installable-{client.language}.prepared"
            run_once(client.prepare, client.folder, pins, stamp)
        if client.generate:
            with result.step("generated"):
                run(client.generate, client.folder, **environment)
                check_unchanged(client)
        with result.step("tests"):
            run(client.test, client.folder, **environment)
    except StepFailed:
        pass
    return result


def check_unchanged(client: Client) -> None:
    """In CI the committed files must be those that the document gives."""
    if os.environ.get("CI") == "true":
        run(("git", "diff", "--exit-code", "--", "."), client.folder)
