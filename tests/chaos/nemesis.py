"""The nemesis: a schedule of faults that follows from a seed, and its execution."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.relay import Aim, FaultKind, PartitionKind
from tests.chaos.stack import Stack, pause

TARGETS = [
    ("insert", "sessions"),
    ("insert", "players"),
    ("insert", "players"),
    ("update", "sessions"),
    ("update", "sessions"),
    ("update", "players"),
    ("update", "players"),
    ("delete", "players"),
    ("find", "sessions"),
    ("find", "players"),
    ("insert", "keyed_requests"),
    ("update", "keyed_requests"),
    ("update", "keyed_requests"),
    ("find", "keyed_requests"),
]
"""The commands that faults are aimed at; the writes are hit more often."""
COMMAND_FAULTS: dict[str, FaultKind] = {
    "hold": "hold",
    "delay": "delay",
    "cut before": "cut before",
    "cut after": "cut after",
    "deliver late": "deliver late",
}
LOSSES = {"cut before", "cut after", "deliver late"}
PARTITIONS: dict[str, PartitionKind] = {
    "silence": "silence",
    "lost answers": "lost answers",
    "reset": "reset",
}


@dataclass(frozen=True)
class Profile:
    """The faults of a round, and how often they come."""

    kinds: tuple[str, ...]
    pause: float
    """The mean time in seconds between two faults."""
    disturbs: bool = True
    """Whether commands are lost or processes die. Otherwise, everything is merely slow."""


COMMANDS = Profile(("hold", "delay", "cut before", "cut after", "deliver late"), 0.2)
PROCESSES = Profile(
    (
        *("kill", "suspend", "restart", "kill database", "suspend database"),
        *("silence", "lost answers", "reset"),
    ),
    1.2,
)
SLOW = Profile(("latency", "short delay", "nap", "nap of the database"), 0.2, disturbs=False)
PROFILES: dict[str, tuple[Profile, ...]] = {
    "slow": (SLOW,),
    "commands": (COMMANDS,),
    "processes": (PROCESSES,),
    "everything": (COMMANDS, PROCESSES),
}
DURATIONS: dict[str, tuple[float, float]] = {
    "hold": (0.1, 6),
    "delay": (0.02, 1),
    "cut before": (0, 0),
    "cut after": (0, 0),
    "deliver late": (0.05, 5),
    "kill": (0, 1.5),
    "suspend": (0.3, 6),
    "restart": (0, 0),
    "kill database": (0, 0),
    "suspend database": (0.3, 5),
    "silence": (0.3, 6),
    "lost answers": (0.3, 6),
    "reset": (0.3, 3),
    "latency": (0.5, 3),
    "short delay": (0.02, 0.3),
    "nap": (0.05, 0.4),
    "nap of the database": (0.05, 0.4),
}
"""The shortest and the longest duration of each kind of fault, in seconds."""


@dataclass(frozen=True)
class Step:
    """One fault of a schedule; `at` is the time since the start of the round."""

    at: float
    kind: str
    process: int
    seconds: float
    target: tuple[str, str]
    count: int
    then_hold: float
    """How long to hold the next command of the same kind, which often repeats a lost one."""

    def __str__(self) -> str:
        where = f"process {self.process}"
        if self.kind in COMMAND_FAULTS or self.kind == "short delay":
            where += f", {self.count} x {' '.join(self.target)}"
        return f"{self.at:6.2f} s  {self.kind} ({where}, {self.seconds:.2f} s)"


def schedule(
    profiles: tuple[Profile, ...], seed: str, seconds: float, processes: int
) -> list[Step]:
    """The faults of a round. The same seed gives the same schedule.

    If processes die in this round, one of them is killed last, so that the round ends with whatever
    a dead process leaves behind.
    """
    chance = random.Random(seed)
    steps = []
    for profile in profiles:
        at = chance.expovariate(1 / profile.pause)
        while at < seconds:
            steps.append(_step(chance, at, chance.choice(profile.kinds), processes))
            at += chance.expovariate(1 / profile.pause)
        if "kill" in profile.kinds:
            steps.append(_step(chance, seconds, "kill", processes))
    return sorted(steps, key=lambda step: step.at)


def _step(chance: random.Random, at: float, kind: str, processes: int) -> Step:
    shortest, longest = DURATIONS[kind]
    # Short durations are more interesting than long ones, which merely exceed the deadlines.
    seconds = shortest + (longest - shortest) * chance.random() ** 3
    process, target = chance.randrange(processes), chance.choice(TARGETS)
    then_hold = chance.choice((0.0, chance.uniform(0.1, 1)))
    return Step(at, kind, process, seconds, target, chance.choice((1, 1, 2, 4)), then_hold)


class Nemesis:
    """Executes a schedule."""

    def __init__(self, stack: Stack, report: Callable[[str], None]) -> None:
        self._stack = stack
        self._report = report
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.faults: Counter[str] = Counter()
        """How often each kind of fault was applied, without those of single commands."""

    async def run(self, steps: list[Step]) -> None:
        start = time.monotonic()
        for step in steps:
            await asyncio.sleep(start + step.at - time.monotonic())
            self._report(str(step))
            self._tasks.append(asyncio.create_task(self._apply(step)))

    async def heal(self) -> None:
        """End all faults, and wait until every process is ready."""
        self._over.set()
        self._stack.relay.disarm()
        await asyncio.gather(*self._tasks)
        await self._stack.wait_until_ready()

    async def _apply(self, step: Step) -> None:
        process = self._stack.processes[step.process]
        if step.kind in COMMAND_FAULTS or step.kind == "short delay":
            kind = COMMAND_FAULTS.get(step.kind, "delay")
            aim = Aim(kind, *step.target, process.link, step.seconds, step.count)
            self._stack.relay.arm(aim)
            if kind in LOSSES and step.then_hold:
                then = Aim("hold", *step.target, process.link, step.then_hold)
                self._stack.relay.arm(then)
            return
        self.faults[step.kind] += 1
        if step.kind in PARTITIONS:
            process.link.cut_off(PARTITIONS[step.kind])
            await pause(step.seconds, self._over)
            process.link.heal()
        elif step.kind == "latency":
            self._stack.relay.latency = step.seconds / 100
            await pause(step.seconds, self._over)
            self._stack.relay.latency = 0
        elif step.kind == "kill":
            await process.kill(step.seconds, self._over)
        elif step.kind == "restart":
            await process.restart()
        elif step.kind in ("suspend", "nap"):
            await process.suspend(step.seconds, self._over)
        elif step.kind == "kill database":
            await self._stack.kill_database()
        else:
            await self._stack.suspend_database(step.seconds, self._over)
