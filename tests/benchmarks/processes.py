"""Processes: their CPU time, their memory, and how they start and end."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
START_SECONDS, STOP_SECONDS = 30, 5
CPUCLOCK_SCHED = 2
"""The kind of CPU clock that counts in nanoseconds (linux/posix-timers.h)."""


class BenchmarkFailed(Exception):
    """The benchmark can't go on, or has found something wrong; the text says what."""


def cpu_seconds(process_id: int) -> float:
    """The CPU time that all threads of a process have used, by its CPU clock.

    This is what clock_getcpuclockid(3) does. The times in /proc are only as fine as 10 ms.
    """
    return time.clock_gettime(~process_id << 3 | CPUCLOCK_SCHED)


@dataclass(frozen=True)
class Memory:
    """The memory of a process in MiB."""

    resident: float
    private: float
    """What the process shares with no other, such as files of the same libraries."""

    @classmethod
    def of(cls, process_id: int) -> Self:
        lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()[1:]
        kib = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
        return cls(kib["Rss"] / 1024, (kib["Private_Dirty"] + kib["Private_Clean"]) / 1024)


class Process:
    """A process that ends with the `with` statement. What it writes to stderr goes into a file."""

    def __init__(
        self, name: str, command: Sequence[str], environment: dict[str, str], directory: Path
    ) -> None:
        self.name = name
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("GAME_API_")}
        self._errors = directory / f"{name}.stderr"
        with self._errors.open("wb") as errors:
            self._popen = subprocess.Popen(
                command,
                env=inherited | environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # The access log is written, but to the null device.
                stderr=errors,
                cwd=ROOT,
            )
        self.id = self._popen.pid

    def check(self) -> None:
        """Raises BenchmarkFailed if the process has ended."""
        if self._popen.poll() is not None:
            lines = self._errors.read_text(errors="replace").strip().splitlines()[-5:]
            raise BenchmarkFailed(f"{self.name} has ended: " + "\n".join(lines))

    def signal(self, number: signal.Signals) -> None:
        self._popen.send_signal(number)

    def wait_until(self, condition: Callable[[], bool], pause: float = 0.02) -> None:
        """Wait until the condition holds. Raises BenchmarkFailed if that takes too long."""
        end = time.monotonic() + START_SECONDS
        while not condition():
            self.check()
            if time.monotonic() > end:
                raise BenchmarkFailed(f"{self.name} has not started in {START_SECONDS} seconds")
            time.sleep(pause)

    def stop(self) -> None:
        """Terminate the process, and kill it if it does not end soon."""
        self.signal(signal.SIGTERM)
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
