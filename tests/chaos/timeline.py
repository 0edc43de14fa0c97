"""What a history tells about each resource: its states by version, and when they were current."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeVar

from tests.chaos.history import Operation, State

Item = TypeVar("Item")
Candidate = TypeVar("Candidate")


@dataclass(frozen=True)
class Observation:
    """A response that shows a version; `state` is None if it shows nothing but the number."""

    version: int
    state: State | None
    operation: Operation


@dataclass(frozen=True)
class Interval:
    """A time from `start` to `end`, during the whole of which something is certainly true."""

    start: float
    end: float

    def covers(self, operation: Operation) -> bool:
        return self.start < operation.start and operation.until < self.end


class Timeline:
    """The versions of one session, or of one player from its creation to its deletion.

    The versions of a resource never decrease. Therefore a response that ended before a request
    began is a lower bound of the versions that the request can see, and a response to a request
    that began after it ended is an upper bound.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.observations: list[Observation] = []
        self.states: dict[int, State] = {}
        self.contradictions: list[tuple[Observation, State]] = []
        """The observations that show another state of a version than an earlier response did."""
        self.last = 0
        """The latest version that any response showed."""
        self._ends: list[float] = []
        self._least: list[int] = []
        self._starts: list[float] = []
        self._most: list[int] = []

    def add(self, version: int, state: State | None, operation: Operation) -> None:
        observation = Observation(version, state, operation)
        self.observations.append(observation)
        if state is not None:
            known = self.states.setdefault(version, state)
            if known != state:
                self.contradictions.append((observation, known))

    def finish(self) -> None:
        """Prepare the bounds, after all observations have been added."""
        self.last = max((o.version for o in self.observations), default=0)
        version = 1
        for observation in sorted(self.observations, key=lambda o: o.operation.end):
            version = max(version, observation.version)
            self._ends.append(observation.operation.end)
            self._least.append(version)
        version = self.last
        for observation in sorted(self.observations, key=lambda o: -o.operation.start):
            version = min(version, observation.version)
            self._starts.append(observation.operation.start)
            self._most.append(version)
        self._starts.reverse()
        self._most.reverse()

    @property
    def first_seen(self) -> float:
        """When it certainly existed."""
        return min((o.operation.end for o in self.observations), default=inf)

    @property
    def last_seen(self) -> float:
        """Until when it certainly existed."""
        return max((o.operation.start for o in self.observations), default=-inf)

    def least(self, moment: float) -> int:
        """The version that the resource had at this moment, or a later one."""
        position = bisect_left(self._ends, moment)
        return self._least[position - 1] if position else 1

    def most(self, moment: float) -> int:
        """The version that the resource had at this moment, or an earlier one."""
        position = bisect_right(self._starts, moment)
        return self._most[position] if position < len(self._most) else self.last

    def window(self, operation: Operation) -> range:
        """The versions that the operation can have seen."""
        return range(self.least(operation.start), self.most(operation.until) + 1)

    def possible(self, operation: Operation, condition: Callable[[State], bool]) -> bool:
        """Whether the operation can have seen a state that meets the condition.

        A version whose state is unknown may meet any condition.
        """
        return any(
            version not in self.states or condition(self.states[version])
            for version in self.window(operation)
        )

    def certain(self, condition: Callable[[State], bool]) -> Iterator[Interval]:
        """The times during which the condition was certainly met without interruption."""
        first: int | None = None
        for version in range(1, self.last + 2):
            state = self.states.get(version)
            if state is not None and condition(state):
                first = version if first is None else first
            elif first is not None:
                interval = self.during(first, version - 1)
                if interval.start < interval.end:
                    yield interval
                first = None

    def during(self, first: int, last: int) -> Interval:
        """The time during which the resource certainly had one of these versions."""
        ends = [o.operation.end for o in self.observations if o.version >= first]
        starts = [o.operation.start for o in self.observations if o.version <= last]
        return Interval(min(ends, default=inf), max(starts, default=-inf))


def unmatched(
    items: Sequence[Item],
    candidates: Sequence[Candidate],
    fits: Callable[[Item, Candidate], bool],
) -> list[Item]:
    """The items that remain if as many as possible get a candidate of their own that fits."""
    edges = [
        [number for number, candidate in enumerate(candidates) if fits(item, candidate)]
        for item in items
    ]
    taken: dict[int, int] = {}

    def place(item: int, seen: set[int]) -> bool:
        for candidate in edges[item]:
            if candidate in seen:
                continue
            seen.add(candidate)
            if candidate not in taken or place(taken[candidate], seen):
                taken[candidate] = item
                return True
        return False

    return [item for number, item in enumerate(items) if not place(number, set())]
