"""A run: rounds with different faults, each of which is healed, read and checked at its end."""

import argparse
import asyncio
import random
import time
from collections.abc import Iterable
from pathlib import Path

from tests.chaos.checker import check
from tests.chaos.checks_keys import LEASE, SKEW, SLOWNESS
from tests.chaos.healing import Healing
from tests.chaos.history import History, Violation
from tests.chaos.nemesis import PROFILES, Nemesis, schedule
from tests.chaos.report import Report
from tests.chaos.requests import Sender
from tests.chaos.stack import Clock, Stack, find_libfaketime
from tests.chaos.workload import Workload
from tests.chaos.world import World

ROUND_SECONDS = 30
LOAD_SHARE = 0.65
"""The part of a round in which there are requests and faults; then it is healed and checked."""
SHORTEST_LOAD = 3.0
SETTLING_SECONDS = LEASE + SKEW + SLOWNESS
"""How long requests with a key are repeated at the end of the last round."""
SHOWN_VIOLATIONS = 5
"""How many violations of each property are printed for each round."""


class Run:
    """One run with a seed."""

    def __init__(self, options: argparse.Namespace, stack: Stack, directory: Path) -> None:
        self.report = Report()
        self._seed: int = options.seed
        self._seconds: float = options.seconds
        self._processes: int = options.processes
        self._names: list[str] = options.profile or list(PROFILES)
        self._verbose: bool = options.verbose
        self._stack = stack
        self._directory = directory
        self._started = time.monotonic()
        self._sender = Sender(self._started, stack.credentials)

    async def run(self) -> None:
        await self._start()
        rounds = max(len(self._names), round(self._seconds / ROUND_SECONDS))
        try:
            for number in range(rounds):
                remaining = self._seconds - (time.monotonic() - self._started)
                seconds = max(SHORTEST_LOAD, remaining / (rounds - number) * LOAD_SHARE)
                name = self._names[number % len(self._names)]
                await self._round(number, rounds, name, seconds)
        finally:
            await self._sender.aclose()
        self.report.faults += self._stack.relay.faults

    async def _start(self) -> None:
        """Start the processes; the clock of the last one is off."""
        chance = random.Random(self._seed)
        faults = self.report.faults
        off = Clock(chance.choice((-1, 1)) * chance.uniform(1, 3), find_libfaketime(), faults)
        right = Clock(0.0, None, faults)
        await self._stack.start([right] * (self._processes - 1) + [off])
        print(f"{self._processes} processes; the clock of one is off by {off.offset:+.1f} s")

    async def _round(self, number: int, rounds: int, name: str, seconds: float) -> None:
        seed, start = f"{self._seed}/{number}", time.monotonic()
        profiles = PROFILES[name]
        history = History(disturbed=any(profile.disturbs for profile in profiles))
        workload = Workload(World(number), history, self._sender, self._stack.processes, seed)
        nemesis = Nemesis(self._stack, self._print_fault)
        steps = schedule(profiles, seed, seconds, self._processes)
        working = asyncio.create_task(workload.run(seconds))
        await nemesis.run(steps)
        await working
        healing = Healing(self._stack, workload, history, seed)
        await nemesis.heal()
        await workload.finish()
        await self._stack.relay.wait_until_idle(0.1)
        history.settled = number == rounds - 1
        await workload.settle(SETTLING_SECONDS if history.settled else 0)
        await healing.run()
        await healing.clean_up()
        self._collect(history)
        violations = check(history)
        self.report.faults += nemesis.faults
        self.report.count(history.operations)
        self.report.violations += violations
        print(
            f"round {number + 1} of {rounds} ({name}): {len(history.operations)} operations, "
            f"{len(steps)} faults planned, {len(violations)} violations "
            f"in {time.monotonic() - start:.0f} s",
            flush=True,
        )
        if violations:
            self._print_violations(number, history, violations)

    def _collect(self, history: History) -> None:
        """Add what the processes have noticed to the history."""
        for process in self._stack.processes:
            history.errors += process.errors
            history.leaks += self._stack.credentials.leaks(process.new_lines())
            history.stops += [
                (process.number, start - self._started, end - self._started)
                for start, end in process.interruptions
            ]
            process.errors.clear()
            process.interruptions.clear()

    def _print_fault(self, text: str) -> None:
        if self._verbose:
            print(f"  {text}", flush=True)

    def _print_violations(
        self, number: int, history: History, violations: Iterable[Violation]
    ) -> None:
        path = self._directory / f"chaos-{self._seed}-round-{number + 1}.jsonl"
        history.save(path)
        shown: dict[str, int] = {}
        for violation in violations:
            shown[violation.property] = shown.get(violation.property, 0) + 1
            if shown[violation.property] <= SHOWN_VIOLATIONS:
                print(f"  VIOLATION (seed {self._seed}) {violation}")
        print(f"  the history of this round is in {path}", flush=True)
