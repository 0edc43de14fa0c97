"""Child processes, progress messages, and helpers that wait for a condition."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from tests.e2e.paths import LOGS

T = TypeVar("T")
POLL_INTERVAL = 0.25
"""Seconds between two checks of a condition."""
STARTED = time.monotonic()


def print_progress(message: str) -> None:
    """Print a message to stderr with the seconds since the program started."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {message}", file=sys.stderr, flush=True)


class Failed(Exception):
    """A step failed. The message is shown to the person who ran the command."""


def run(
    *command: str | Path, folder: Path | None = None, stdin: str | None = None, **environment: str
) -> str:
    """Run a command and return its standard output.

    Raises Failed with the command's output if the exit code is not 0.
    """
    result = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        input=stdin,
        text=True,
        capture_output=True,
    )
    if result.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise Failed(f"{words}: exit code {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def succeeds(command: Callable[..., str], *arguments: str) -> bool:
    """Return whether a function such as `run` finishes without raising Failed."""
    try:
        command(*arguments)
    except Failed:
        return False
    return True


def wait_for(description: str, condition: Callable[[], T | None], seconds: float = 60) -> T:
    """Call the condition until its result is truthy, and return that result.

    The description completes the sentence "waiting until ...". Raises Failed after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Failed(
                f"timed out after {seconds:.0f} s waiting until {description} (got {result!r})"
            )
        time.sleep(POLL_INTERVAL)


@contextmanager
def enter_concurrently(*contexts: AbstractContextManager[Any]) -> Iterator[list[Any]]:
    """Enter each context manager in its own thread, and yield their values in order.

    If one of them raises, the others are exited.
    """
    with ExitStack() as stack:
        with ThreadPoolExecutor() as pool:
            entered = list(pool.map(stack.enter_context, contexts))
        yield entered


class Process:
    """A program that runs until it is stopped or its `with` block ends. Its output is logged."""

    def __init__(self, name: str, *command: str | Path, **environment: str) -> None:
        self.name = name
        self.command = command
        self.environment: Mapping[str, str] = environment
        self.log = LOGS / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        LOGS.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C reaches only the tests, which then stop the processes in order.
                process_group=0,
            )
        return self

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 10) -> None:
        """Send a signal, and kill the process if it is still running after `seconds`."""
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def wait_until(
        self, description: str, condition: Callable[[], bool], seconds: float = 60
    ) -> None:
        """Wait for a condition. Raises Failed with the end of the log if the process exits."""

        def is_met() -> bool:
            self.check_running()
            return condition()

        wait_for(description, is_met, seconds)

    def wait(self) -> None:
        """Wait for the process to exit. Raises Failed with its log if the exit code is not 0."""
        if self.process is None or self.process.wait() != 0:
            raise Failed(f"{self.name}: {self.log.read_text(errors='replace')}")

    def check_running(self) -> None:
        """Raise Failed with the end of the log if the process is not running."""
        if self.process is None or self.process.poll() is not None:
            tail = self.log.read_text(errors="replace").splitlines()[-15:]
            raise Failed("\n".join([f"{self.name} has exited:", *tail]))

    def __enter__(self) -> Self:
        return self if self.process else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGKILL)
