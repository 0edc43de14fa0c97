"""The service as a process of its own."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

START_SECONDS = 30


class Service:
    """`python -m game_api`, with its output kept; `address` is where it listens."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("GAME_API_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "game_api", *arguments],
            env=inherited | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,  # as a shell does: Ctrl-C goes to the whole group
        )
        self.lines: list[str] = []
        self.address = ""
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(r"listens on (http://[^\s\"]+)", line):
                self.address = found[1]
            if "Application startup complete" in line:
                self._ready.set()
        self._ready.set()

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_until_ready(self) -> "Service":
        assert self._ready.wait(START_SECONDS), self.output
        assert self.process.poll() is None and self.address, self.output
        return self

    def wait(self, seconds: float = 30) -> int:
        """The exit code, once all output is read."""
        code = self.process.wait(seconds)
        self._reader.join(seconds)
        return code

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """kill -9, and nothing left to wait for."""
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
        """The process id of its embedded database."""
        for status in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = status.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.process.pid and fields[0] != "Z":
                return int(status.parent.name)
        raise ProcessLookupError("no embedded database")


def alive(process_id: int) -> bool:
    """Whether there is such a process, and not merely its remains."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(process_id: int, seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while alive(process_id) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(process_id)
