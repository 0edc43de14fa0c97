"""Making a client in a scratch folder, step by step."""

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients.flows import LATER_REFUSALS, REFUSALS, Refusals, mistakes
from tests.clients.generators import Command, Generator

SOURCES = Path(__file__).parent
ROOT = SOURCES.parent.parent
SCRATCH = ROOT / "build" / "clients"
STEP_SECONDS = 600
"""The limit for one command. It is reached only if the command hangs."""


class StepFailed(Exception):
    """A command has failed; the text is what it printed."""


def run(command: Command, folder: Path, **environment: str) -> str:
    """The output of a command. Raises StepFailed if it fails or hangs."""
    line = f"$ {' '.join(command)}"
    try:
        process = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=STEP_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise StepFailed(f"{line}\nnot finished after {STEP_SECONDS} s\n{error.output}") from None
    if process.returncode:
        raise StepFailed(f"{line}\n{process.stdout}")
    return process.stdout


@dataclass
class Running:
    """Where the service and its later version listen, and the tokens for them."""

    present: str
    later: str
    tokens: dict[str, str]


@dataclass
class Result:
    """What became of a client: the seconds of each step, and the output of the one that failed."""

    name: str
    seconds: dict[str, float] = field(default_factory=dict)
    failed: str | None = None
    output: str = ""
    codes: int = 0

    @contextmanager
    def step(self, step: str) -> Iterator[None]:
        """Measure a step. StepFailed is recorded and raised again."""
        started = time.monotonic()
        try:
            yield
        except StepFailed as error:
            self.failed, self.output = step, str(error)
            raise
        finally:
            self.seconds[step] = time.monotonic() - started
            outcome = "FAILED" if self.failed else f"{self.seconds[step]:.1f} s"
            print(f"{self.name}: {step} {outcome}", flush=True)


def build(generator: Generator, running: Running) -> Result:
    """Generate and compile a client, and run its flow against both versions of the service."""
    result = Result(generator.language)
    folder = SCRATCH / generator.language
    try:
        with result.step("prepared"):
            prepare(generator, folder)
        with result.step("generated"):
            run_all(generator.generate, folder)
        with result.step("compiled"):
            run_all(generator.compile, folder)
        with result.step("flow"):
            environment = running.tokens | {"GAME_API_URL": running.present}
            result.codes = run_flow(generator, folder, environment, "now", REFUSALS)
        with result.step("growth"):
            environment = running.tokens | {"GAME_API_URL": running.later}
            run_flow(generator, folder, environment, "later", LATER_REFUSALS)
    except StepFailed:
        pass
    return result


def run_all(commands: Sequence[Command], folder: Path) -> None:
    for command in commands:
        run(command, folder)


def prepare(generator: Generator, folder: Path) -> None:
    """Copy the sources, and install the pinned generator unless it already is."""
    sources = SOURCES / generator.language
    shutil.copytree(sources, folder, dirs_exist_ok=True)
    shutil.rmtree(folder / "generated", ignore_errors=True)
    (folder / "generated").mkdir()
    pins = [sources / name for name in generator.pins]
    run_once(generator.prepare, folder, pins, folder / "prepared")


def run_once(commands: Sequence[Command], folder: Path, pins: Sequence[Path], stamp: Path) -> None:
    """Run the commands, unless they have succeeded before with the same pins."""
    content = b"".join(path.read_bytes() for path in pins) + repr(commands).encode()
    digest = hashlib.sha256(content).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        run_all(commands, folder)
        stamp.write_text(digest)


def run_flow(
    generator: Generator,
    folder: Path,
    environment: dict[str, str],
    run_name: str,
    expected: Refusals,
) -> int:
    """Run the flow and check the refusals that it has met; returns how many these are."""
    prefix = f"{generator.language}-{run_name}-"
    output = run(generator.flow, folder, **environment, GAME_API_PREFIX=prefix)
    if found := mistakes(output, expected):
        raise StepFailed("\n".join(found) + f"\n{output}")
    return len(expected)
