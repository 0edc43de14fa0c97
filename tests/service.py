"""The service as a separate process."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import httpx2

from tests.waiting import WAIT_SECONDS, holds_within

START_SECONDS = 30


def free_port() -> int:
    """A loopback port that is currently unused."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Service:
    """A process that runs `python -m game_api`; `lines` collects its output."""

    module = "game_api"

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("GAME_API_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module, *arguments],
            env=inherited | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,  # As in a shell, where Ctrl-C signals the whole process group.
        )
        self.lines: list[str] = []
        self.address = ""
        """The URL at which the service listens, once it has logged it."""
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)
            if match := re.search(r"listens on (http://[^\s\"]+)", line):
                self.address = match[1]
            if "Application startup complete" in line:
                self._ready.set()
        self._ready.set()

    @property
    def output(self) -> str:
        return "".join(self.lines)

    @property
    def host_and_port(self) -> tuple[str, int]:
        url = urlsplit(self.address)
        assert url.hostname and url.port
        return url.hostname, url.port

    def wait_until_ready(self) -> "Service":
        """Wait until the service has started; returns the service itself."""
        assert self._ready.wait(START_SECONDS), self.output
        assert self.process.poll() is None and self.address, self.output
        return self

    def wait_until(self, condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
        """Wait until the condition is true.

        Raises AssertionError with the output of the service after `seconds`, or if it ends before.
        """
        holds_within(lambda: condition() or self.process.poll() is not None, seconds)
        assert condition(), self.output

    def wait_for_readiness(self, status: int) -> httpx2.Response:
        """Wait until GET /health/ready responds with this status; returns the response."""
        responses: list[httpx2.Response] = []

        def has_status() -> bool:
            responses.append(httpx2.get(f"{self.address}/health/ready", timeout=10))
            return responses[-1].status_code == status

        self.wait_until(has_status)
        return responses[-1]

    def wait(self, seconds: float = 30) -> int:
        """Wait until the process has ended and its output is read; returns the exit code."""
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code

    def terminate(self) -> int:
        """Send SIGTERM, and wait for the end; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        self.process.kill()
        self.wait()

    def __enter__(self) -> "Service":
        return self.wait_until_ready()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()

    def database_process(self) -> int:
        """The process id of the embedded database. Raises ProcessLookupError if there is none."""
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                return int(status.parent.name)
        raise ProcessLookupError("the embedded database is not running")


def alive(process_id: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(process_id: int, seconds: float = 5) -> bool:
    """Wait until the process has ended; returns False if that takes longer than `seconds`."""
    return holds_within(lambda: not alive(process_id), seconds)
