"""Measurements of a server: CPU time, throughput, latencies, and what was answered."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from tests.benchmarks.operations import get
from tests.benchmarks.processes import ROOT, BenchmarkFailed, Memory, cpu_seconds
from tests.benchmarks.servers import HOST, Server
from tests.benchmarks.spread import percentile

SETTLE_SECONDS = 0.06
"""After the last answer, a server still writes its last log lines."""
IDLE_SECONDS = 1


@dataclass(frozen=True)
class Result:
    """The result of one run of the load generator."""

    seconds: float
    latencies_ms: Sequence[float]
    body_bytes: int
    unexpected: Mapping[str, int]
    answers: Sequence[str]
    """The status and the code of each answer, only to requests that were sent at once."""

    @property
    def requests(self) -> int:
        return len(self.latencies_ms)

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def p50_ms(self) -> float:
        return percentile(self.latencies_ms, 0.5)

    @property
    def p99_ms(self) -> float:
        return percentile(self.latencies_ms, 0.99)


class Load:
    """The load generator, a process of its own; `run` takes the options of `load`."""

    def __enter__(self) -> Self:
        self._popen = subprocess.Popen(
            (sys.executable, "-m", "tests.benchmarks.load"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._popen.kill()
        self._popen.communicate()

    def run(self, ports: Sequence[int], **options: Any) -> Result:
        """Make one run. Raises BenchmarkFailed if it could not be finished."""
        assert self._popen.stdin and self._popen.stdout
        self._popen.stdin.write(json.dumps({"ports": ports, **options}) + "\n")
        self._popen.stdin.flush()
        line = self._popen.stdout.readline()
        if not line:
            raise BenchmarkFailed("the load generator has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise BenchmarkFailed(f"the load generator has failed: {answer['error']}")
        return Result(**answer)


def asked(load: Load, server: Server, operation: str, **options: Any) -> Result:
    """Run an operation on a server. Raises BenchmarkFailed if an answer is not the right one."""
    server.check()
    try:
        result = load.run([server.port], operation=operation, **options)
    except BenchmarkFailed:
        server.check()  # If the server has ended, its last words say more.
        raise
    if result.unexpected:
        raise BenchmarkFailed(
            f"{server.variant.name} gave a wrong answer to {operation}, "
            f"{sum(result.unexpected.values())} of {result.requests} times, "
            f"such as {next(iter(result.unexpected))}"
        )
    return result


def measured(load: Load, server: Server, operation: str, **options: Any) -> tuple[Result, float]:
    """Run an operation; returns also the microseconds of CPU of the server for each request."""
    before = cpu_seconds(server.id)
    result = asked(load, server, operation, **options)
    time.sleep(SETTLE_SECONDS)
    return result, (cpu_seconds(server.id) - before) / result.requests * 1e6


@dataclass(frozen=True)
class Start:
    """How long a server takes from the start of the process to its first answer."""

    seconds: float
    cpu_seconds: float


def measure_start(server_of: Callable[[], Server]) -> Start:
    """Start a server, wait for its first answer, and stop it."""
    began = time.perf_counter()
    with server_of() as server:
        server.wait_until_ready()
        return Start(time.perf_counter() - began, cpu_seconds(server.id))


@dataclass(frozen=True)
class Footprint:
    """The memory of a server that is idle, and with many connections that are kept alive."""

    idle: Memory
    connected: Memory


def measure_memory(load: Load, server: Server, connections: int) -> Footprint:
    asked(load, server, "get_player", requests=200, connections=4)
    time.sleep(IDLE_SECONDS)
    idle, kept = Memory.of(server.id), []
    try:
        for _ in range(connections):
            kept.append(socket.create_connection((HOST, server.port)))
            kept[-1].sendall(get("/api/v1/players/p0", "p0").data)
            if not kept[-1].recv(65536).startswith(b"HTTP/1.1 200"):
                raise BenchmarkFailed(f"{server.name} does not answer {len(kept)} connections")
        return Footprint(idle, Memory.of(server.id))
    finally:
        for connection in kept:
            connection.close()
