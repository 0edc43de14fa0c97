"""A simulation: how many conflicts there are when several pods change the same session.

    python -m tests.benchmarks.conflicts [--latency 2 5]

Each pod has one queue for the session, and does one round at a time: it loads the session, claims
the players if they join, and writes the session, provided that no other pod has written in the
meantime. Otherwise it pauses and starts over. The pauses and limits are those of the service.
"""

import argparse
import heapq
import math
import random
from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from game_api.database.client import DEADLINE
from game_api.sessions.group_commit import MAX_ROUND
from game_api.sessions.rounds import FIRST_PAUSE, LONGEST_PAUSE
from tests.benchmarks.spread import percentile

PODS = (1, 2, 4, 8, 16, 32, 64)
Steps = Generator[float, None, None]
"""Yields the moment at which it goes on."""


@dataclass
class Session:
    """What all pods share, and what has happened to it."""

    seats: float = math.inf
    """The seats that are free. Without a limit, the changes are no joins and claim nobody."""
    revision: int = 0
    commands: int = 0
    conflicts: int = 0
    expired: int = 0
    """The number of changes whose round did not succeed in time; they get 503."""
    waited: list[float] = field(default_factory=list)
    """The seconds from the arrival of each change to its answer."""

    @property
    def conflict_rate(self) -> float:
        """The share of all writes that found a newer session."""
        return self.conflicts / max(1, self.revision + self.conflicts)

    @property
    def p99(self) -> float:
        return percentile(self.waited, 0.99)


def pod(
    session: Session, arrivals: Sequence[float], latency: tuple[float, float], choice: random.Random
) -> Steps:
    """The rounds of one pod, from the first change that arrives to the last one."""
    waiting = deque(arrivals)
    now = 0.0
    while waiting:
        now = max(now, waiting[0])
        yield now
        changes = [waiting.popleft()]
        while waiting and waiting[0] <= now and len(changes) < MAX_ROUND:
            changes.append(waiting.popleft())
        began, pause, claimed = now, FIRST_PAUSE, False
        while True:
            # A command takes effect after half of its latency.
            half = choice.uniform(*latency) / 2
            yield now + half
            session.commands += 1
            loaded, seats = session.revision, session.seats
            now += 2 * half
            seated = min(seats, len(changes))
            if not seated:
                session.commands += claimed  # It releases the claims of its last attempt.
                break
            if seats < math.inf:
                claimed = True
                session.commands += 1
                now += choice.uniform(*latency)
            half = choice.uniform(*latency) / 2
            yield now + half
            session.commands += 1
            written = session.revision == loaded
            now += 2 * half
            if written:
                session.revision += 1
                session.seats -= seated
                break
            session.conflicts += 1
            if now - began > DEADLINE:
                session.expired += len(changes)
                break
            now += choice.uniform(0, pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        session.waited.extend(now - arrived for arrived in changes)


def simulate(
    session: Session, pods: int, arrivals: Sequence[float], latency: tuple[float, float]
) -> Session:
    """Apply changes that arrive at these moments, each at a random pod, to the session."""
    choice = random.Random(1)
    shares: list[list[float]] = [[] for _ in range(pods)]
    for moment in sorted(arrivals):
        choice.choice(shares).append(moment)
    due = [(0.0, n, pod(session, share, latency, choice)) for n, share in enumerate(shares)]
    while due:
        _, n, steps = heapq.heappop(due)
        if (goes_on := next(steps, None)) is not None:
            heapq.heappush(due, (goes_on, n, steps))
    return session


def poisson(rate: float, seconds: float) -> list[float]:
    """Random moments, so many in a second on average."""
    choice, moments, moment = random.Random(1), list[float](), 0.0
    while (moment := moment + choice.expovariate(rate)) < seconds:
        moments.append(moment)
    return moments


def table(latency: tuple[float, float], rates: Sequence[float]) -> str:
    """How a crowd and streams of changes fare with more and more pods, as a Markdown table."""
    head = ["pods", "1,000 joins: commands", "conflicts", "last answer ms"]
    for rate in rates:
        head += [f"{rate:g} changes/s: commands each", "conflicts", "p99 ms", "503"]
    lines = [f"| {' | '.join(head)} |", "|" + "---:|" * len(head)]
    for pods in PODS:
        crowd = simulate(Session(64), pods, [0.0] * 1000, latency)
        cells = [f"{pods}", f"{crowd.commands}", f"{crowd.conflicts}"]
        cells += [f"{max(crowd.waited) * 1000:.0f}"]
        for rate in rates:
            stream = simulate(Session(), pods, poisson(rate, 60), latency)
            each = stream.commands / len(stream.waited)
            cells += [f"{each:.1f}", f"{stream.conflict_rate:.0%}"]
            cells += [f"{stream.p99 * 1000:.0f}"]
            cells += [f"{stream.expired / len(stream.waited):.1%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--latency", type=float, nargs=2, default=(2, 5), metavar="MS")
    low, high = parser.parse_args().latency
    print(table((low / 1000, high / 1000), (10, 50, 200)))


if __name__ == "__main__":
    main()
