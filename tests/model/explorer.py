"""The explorer: visits every state of a scenario, and stops at the first one that is wrong.

States are visited breadth first, so that the trace of a violation is as short as possible.
"""

import time
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from tests.model.checks import Checks
from tests.model.loop import virtual_time
from tests.model.process import Pending
from tests.model.scenarios import Scenario
from tests.model.system import Bounds, Label, State, System
from tests.model.traces import describe, short_tokens

DEPTH = 500
"""A process that experiences more events than this is considered to run forever."""


@dataclass
class Report:
    """The result of an exploration."""

    states: int = 0
    transitions: int = 0
    ends: int = 0
    """The number of states in which every process has ended."""
    unavailable: int = 0
    """The number of those in which a request without a fault was told 503."""
    histories: int = 0
    seconds: float = 0
    complete: bool = True
    violation: str | None = None
    trace: Sequence[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n  ".join((self.violation or "no violation", *self.trace))


class Explorer:
    """Explores one scenario."""

    def __init__(self, scenario: Scenario, bounds: Bounds) -> None:
        self._system = System(scenario, bounds)
        self._checks = Checks(scenario)
        self._clocks_differ = scenario.clocks_differ
        self._checked: dict[Hashable, str | None] = {}
        self.report = Report()

    def run(self, max_states: int = 10**9) -> Report:
        """Visit every state, until a violation is found."""
        report = self.report
        start = self._system.start()
        numbers: dict[State, int] = {start: 0}
        origins: list[tuple[int, Label]] = [(0, ())]
        queue = deque([start])
        while queue:
            state = queue.popleft()
            report.violation = self._violation(state)
            if report.violation is not None:
                report.trace = self._trace(origins, numbers[state])
                break
            if len(numbers) > max_states:
                report.complete = False
                break
            for label, following in self._system.following(state):
                report.transitions += 1
                if following not in numbers:
                    numbers[following] = len(origins)
                    origins.append((numbers[state], label))
                    queue.append(following)
        report.states = len(numbers)
        report.histories = sum(len(each.views) for each in self._system.histories)
        self._system.close()
        return report

    def _violation(self, state: State) -> str | None:
        """What is wrong in a state."""
        system = self._system
        views = system.views(state)
        ended = all(view.finished for view in views)
        if max(h.depths[n] for h, n in zip(system.histories, state.nodes, strict=True)) > DEPTH:
            return f"a process does not end after {DEPTH} events"
        told = tuple(response for view in views for response in view.told)
        faults = bool(state.crashed or state.losses) or self._clocks_differ
        key = (state.contents, told, state.made, state.facts, faults)
        contents = system.contents.items[state.contents]
        if key not in self._checked:
            facts = system.facts.items[state.facts]
            self._checked[key] = self._checks.violation(contents, told, state.made, facts, faults)
        if not ended or self._checked[key] is not None:
            return self._checked[key]
        self.report.ends += 1
        floating = tuple(step for _, step in state.floating)
        at_end = ("end", state.contents, told, faults, floating)
        if at_end not in self._checked:
            steps = [system.steps.items[step] for step in floating]
            self._checked[at_end] = self._checks.violation_at_end(contents, told, steps, faults)
        return self._checked[at_end]

    def _trace(self, origins: Sequence[tuple[int, Label]], number: int) -> list[str]:
        """What happened from the start to a state."""
        labels = []
        while number:
            number, label = origins[number]
            labels.append(label)
        state = self._system.start()
        lines = []
        for label in reversed(labels):
            following = dict(self._system.following(state))[label]
            lines.append(self._describe(label, state, following))
            state = following
        return lines

    def _describe(self, label: Label, before: State, after: State) -> str:
        kind, process, *details = label
        text = f"{process + 1}: {kind}"
        if details and isinstance(details[0], Pending):
            pending, chosen = details
            steps = pending.command.steps
            if kind == "execute":
                steps = [steps[number] for number in chosen]
            else:
                text += f" ({chosen})"
            text += f" {pending.command.method} " + "; ".join(describe(step) for step in steps)
        elif kind == "late":
            text += f" {describe(self._system.steps.items[details[0]])}"
        old, new = (self._system.views(state)[process].told for state in (before, after))
        for was, response in zip(old, new, strict=True):
            if response is not was:
                text += short_tokens(f" -> told {response}")
        return text


def explore(scenario: Scenario, bounds: Bounds, max_states: int = 10**9) -> Report:
    """Explore a scenario in virtual time."""
    started = time.perf_counter()
    with virtual_time():
        report = Explorer(scenario, bounds).run(max_states)
    report.seconds = time.perf_counter() - started
    return report
