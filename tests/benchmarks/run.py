"""One run of the benchmark: all variants at the same time, each round in another order."""

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from tests.benchmarks.counts import Counted, count
from tests.benchmarks.documents import remove_created, seed
from tests.benchmarks.measure import (
    Footprint,
    Load,
    Start,
    asked,
    measure_memory,
    measure_start,
    measured,
)
from tests.benchmarks.servers import DatabaseServer, Server, Variant

T = TypeVar("T")

CONNECTIONS = 16
"""The number of connections of a closed loop."""
OFFERED_RATE, OFFERED_CONNECTIONS = 200, 64
"""The requests a second of an open loop, and over how many connections they are sent."""
KEPT_CONNECTIONS = 500
HEAVY = {"get_session_64": 0.5, "list_sessions": 0.25}
"""Operations that are measured with this share of the requests."""


@dataclass(frozen=True)
class Plan:
    """What to measure, and for how long."""

    variants: Sequence[Variant]
    operations: Sequence[str]
    offered: Sequence[str]
    """The operations that are also measured in an open loop."""
    rounds: int
    starts: int
    requests: int
    offered_seconds: float

    def requests_of(self, operation: str) -> int:
        return int(self.requests * HEAVY.get(operation, 1))


Samples = dict[str, dict[str, dict[str, list[float]]]]
"""One value for each round: by what was measured, by operation, and by variant."""


@dataclass
class Results:
    """Everything that was measured in one run."""

    variants: Sequence[str]
    operations: Sequence[str]
    samples: Samples = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    )
    starts: dict[str, list[Start]] = field(default_factory=lambda: defaultdict(list))
    memory: dict[str, Footprint] = field(default_factory=dict)
    counts: dict[str, dict[str, Counted]] = field(default_factory=dict)


class Benchmark:
    """Measures what the plan says. Raises BenchmarkFailed if an answer is not the right one."""

    def __init__(self, plan: Plan, database: DatabaseServer, load: Load, directory: Path) -> None:
        self._plan, self._database = plan, database
        self._load, self._directory = load, directory
        self._began = time.monotonic()
        names = [variant.name for variant in plan.variants]
        self.results = Results(names, plan.operations)

    def run(self) -> Results:
        for variant in self._plan.variants:
            self._report(f"counting the commands of {variant.name}")
            self.results.counts[variant.name] = count(
                variant, self._database, self._load, self._directory
            )
            seed(self._database.uri, variant.name)
        self._measure_starts()
        with ExitStack() as stack:
            servers = [
                stack.enter_context(self._server(variant)).wait_until_ready()
                for variant in self._plan.variants
            ]
            self._measure_memory(servers)
            self._warm_up(servers)
            for number in range(self._plan.rounds):
                self._measure_round(number, servers)
        return self.results

    def _server(self, variant: Variant) -> Server:
        return Server(variant, self._database.uri, variant.name, self._directory)

    def _measure_starts(self) -> None:
        for number in range(self._plan.starts):
            self._report(f"starting the servers, {number + 1} of {self._plan.starts}")
            for variant in in_turn(self._plan.variants, number):
                start = measure_start(partial(self._server, variant))
                self.results.starts[variant.name].append(start)

    def _measure_memory(self, servers: Sequence[Server]) -> None:
        self._report(f"measuring memory with {KEPT_CONNECTIONS} connections")
        for server in servers:
            footprint = measure_memory(self._load, server, KEPT_CONNECTIONS)
            self.results.memory[server.variant.name] = footprint

    def _warm_up(self, servers: Sequence[Server]) -> None:
        self._report("warming up")
        for operation in self._plan.operations:
            for server in servers:
                requests = self._plan.requests_of(operation) // 2
                asked(self._load, server, operation, requests=requests, connections=CONNECTIONS)

    def _measure_round(self, number: int, servers: Sequence[Server]) -> None:
        for operation in self._plan.operations:
            self._report(f"round {number + 1} of {self._plan.rounds}: {operation}")
            for server in servers:
                remove_created(self._database.uri, server.variant.name)
            for server in in_turn(servers, number):
                result, cpu = measured(
                    self._load,
                    server,
                    operation,
                    requests=self._plan.requests_of(operation),
                    connections=CONNECTIONS,
                )
                self._record(server, operation, cpu_us=cpu, per_second=result.per_second)
            for server in in_turn(servers, number) if operation in self._plan.offered else ():
                result = asked(
                    self._load,
                    server,
                    operation,
                    rate=OFFERED_RATE,
                    seconds=self._plan.offered_seconds,
                    connections=OFFERED_CONNECTIONS,
                )
                self._record(server, operation, p50_ms=result.p50_ms, p99_ms=result.p99_ms)

    def _record(self, server: Server, operation: str, **values: float) -> None:
        for name, value in values.items():
            self.results.samples[name][operation][server.variant.name].append(value)

    def _report(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:4.0f} s  {text}", file=sys.stderr, flush=True)


def in_turn(items: Sequence[T], number: int) -> Iterator[T]:
    """The items, beginning with another one in each round."""
    first = number % len(items)
    yield from (*items[first:], *items[:first])


def run(plan: Plan) -> Results:
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        directory = Path(name)
        with DatabaseServer(directory) as database, Load() as load:
            return Benchmark(plan, database, load, directory).run()
