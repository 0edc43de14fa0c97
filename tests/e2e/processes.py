"""Programs that run beside the tests, and waiting for what they do."""

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
PAUSE = 0.25
STARTED = time.monotonic()


def say(what: str) -> None:
    """Progress, with the seconds since the start."""
    print(f"[{time.monotonic() - STARTED:6.1f} s] {what}", file=sys.stderr, flush=True)


class Failed(Exception):
    """Something did not work; the text is for the person who started it."""


def run(
    *command: str | Path, folder: Path | None = None, stdin: str | None = None, **environment: str
) -> str:
    """A command's output. Raises Failed with what it wrote."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        input=stdin,
        text=True,
        capture_output=True,
    )
    if done.returncode != 0:
        words = " ".join(str(word) for word in command)
        raise Failed(f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def succeeds(command: Callable[..., str], *arguments: str) -> bool:
    """Whether a command, such as `run`, does not fail."""
    try:
        command(*arguments)
    except Failed:
        return False
    return True


def wait_for(what: str, condition: Callable[[], T | None], seconds: float = 60) -> T:
    """What the condition returns, once that is something. Raises Failed after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise Failed(f"after {seconds:.0f} s still not: {what} (found {found!r})")
        time.sleep(PAUSE)


@contextmanager
def together(*contexts: AbstractContextManager[Any]) -> Iterator[list[Any]]:
    """Enter contexts, each in a thread; what they give. If one fails the others are left."""
    with ExitStack() as stack:
        with ThreadPoolExecutor() as pool:
            entered = list(pool.map(stack.enter_context, contexts))
        yield entered


class Process:
    """A program that runs until it is stopped, or its `with` ends; it writes to a log."""

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
                process_group=0,  # Ctrl-C is for the tests, which then stop it in order
            )
        return self

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 10) -> None:
        """Ask it to end; make it end after some seconds."""
        if self.process is not None:
            self.process.send_signal(number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def wait_until(self, what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for a condition. Raises Failed, with the end of the log, should it end before."""

        def met() -> bool:
            self.check()
            return condition()

        wait_for(what, met, seconds)

    def wait(self) -> None:
        """Wait for its end. Raises Failed when that is not a good one."""
        if self.process is None or self.process.wait() != 0:
            raise Failed(f"{self.name}: {self.log.read_text(errors='replace')}")

    def check(self) -> None:
        """Raises Failed, with the end of the log, when it is not there any more."""
        if self.process is None or self.process.poll() is not None:
            tail = self.log.read_text(errors="replace").splitlines()[-15:]
            raise Failed("\n".join([f"{self.name} has ended:", *tail]))

    def __enter__(self) -> Self:
        return self if self.process else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGKILL)
