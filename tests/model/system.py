"""The processes and the database as one system: its states, and what may happen in each of them.

A state consists of the contents of the database, the history of each process, and the writes that
may still be executed although no process waits for them any more. In each state,

- the database executes a step of a command, and replies when the command is complete;
- a process loses the reply to a write, which may then be executed at any later time, or never;
- a process dies, and its writes may be executed at any later time, or never;
- a timer of a process fires.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from tests.model.histories import Event, Histories
from tests.model.memory import Contents, Step, execute
from tests.model.process import Pending, Process, View
from tests.model.requests import Facts, facts_of
from tests.model.scenarios import Scenario

Item = TypeVar("Item")
Label = tuple[Any, ...]
"""What happens between two states: the kind, the process, and details."""


@dataclass(frozen=True)
class Bounds:
    """Which faults are explored, and how slow commands are."""

    crashes: int = 0
    losses: int = 0
    kinds: tuple[str, ...] = ("cut",)
    """How replies are lost; see `Process.lose`."""
    slowness: float = 0.2
    """How many seconds may pass while a command waits for its execution."""
    lose_reads: bool = False
    split_reads: bool = False
    """Whether writes may be executed between the documents of one read."""


class Partial(NamedTuple):
    """A command of which some steps have been executed."""

    process: int
    number: int
    replies: tuple[tuple[int, bytes], ...]
    """The reply to each of these steps."""


class State(NamedTuple):
    contents: int
    nodes: tuple[int, ...]
    """The history of each process."""
    partial: tuple[Partial, ...]
    floating: tuple[tuple[int, int], ...]
    """The processes and the steps of the writes for which no process waits any more."""
    crashed: frozenset[int]
    losses: int
    made: tuple[int, ...]
    """How often each request has changed the database."""
    facts: int


class Interned(Generic[Item]):
    """Numbers for items, so that states are small and quick to compare."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._numbers: dict[Any, int] = {}

    def number(self, item: Item) -> int:
        number = self._numbers.get(item)
        if number is None:
            number = self._numbers[item] = len(self.items)
            self.items.append(item)
        return number


class System:
    """The system of one scenario."""

    def __init__(self, scenario: Scenario, bounds: Bounds) -> None:
        self.scenario = scenario
        self.bounds = bounds
        self.contents: Interned[Contents] = Interned()
        self.facts: Interned[Facts] = Interned()
        self.steps: Interned[Step] = Interned()
        self.histories = [
            Histories(partial(Process, number, writer.requests, writer.starts_at, scenario.latency))
            for number, writer in enumerate(scenario.writers, 1)
        ]
        self._first_requests = [0]
        for writer in scenario.writers:
            self._first_requests.append(self._first_requests[-1] + len(writer.requests))
        self._executed: dict[tuple[int, int], tuple[int, bytes]] = {}
        self._effects: dict[tuple[int, int, int], tuple[Sequence[int], Facts]] = {}

    def close(self) -> None:
        for histories in self.histories:
            histories.close()

    def start(self) -> State:
        initial = self.scenario.initial
        return State(
            contents=self.contents.number(initial),
            nodes=tuple(histories.root for histories in self.histories),
            partial=(),
            floating=(),
            crashed=frozenset(),
            losses=0,
            made=(0,) * self._first_requests[-1],
            facts=self.facts.number(facts_of(initial, self.scenario.ids)),
        )

    def views(self, state: State) -> list[View]:
        return [h.views[node] for h, node in zip(self.histories, state.nodes, strict=True)]

    def following(self, state: State) -> Iterator[tuple[Label, State]]:
        """Everything that may happen in a state, and the state that follows."""
        views = self.views(state)
        active = [
            process
            for process, view in enumerate(views)
            if not view.finished
            and all(views[n - 1].finished for n in self.scenario.writers[process].after)
        ]
        # No command waits for its execution while more time passes than this.
        latest = min((earliest(views[process]) for process in active), default=0.0)
        latest += self.bounds.slowness
        for process in active:
            view = views[process]
            for pending in view.pending:
                yield from self._command(state, process, pending)
            if view.timer is not None and view.timer <= latest:
                yield ("timer", process), self._happen(state, process, Event("timer"))
            if view.unstarted:
                event = Event("start", view.unstarted[0])
                yield ("start", process, event.number), self._happen(state, process, event)
            if len(state.crashed) < self.bounds.crashes:
                crashed = self._happen(state, process, Event("crash"))
                yield ("crash", process), crashed._replace(crashed=state.crashed | {process})
        for late in sorted(set(state.floating)):
            floating = list(state.floating)
            floating.remove(late)
            after, _ = self._execute(state, *late)
            yield ("late", *late), after._replace(floating=tuple(floating))

    def _command(
        self, state: State, process: int, pending: Pending
    ) -> Iterator[tuple[Label, State]]:
        """What may happen to a command that a process waits for."""
        steps, writes = pending.command.steps, pending.command.writes
        replies = replies_to(state, process, pending.number)
        missing = [number for number in range(len(steps)) if number not in replies]
        if writes:
            choices = [[number] for number in missing]
        else:
            choices = [missing[:1] if self.bounds.split_reads else missing]
        for chosen in choices:
            after, received = state, dict(replies)
            for number in chosen:
                step = self.steps.number(steps[number])
                after, received[number] = self._execute(after, process, step)
            label = ("execute", process, pending, tuple(chosen))
            yield label, self._receive(after, process, pending, received)
        if state.losses < self.bounds.losses and (writes or self.bounds.lose_reads):
            yield from self._lose(state, process, pending)

    def _lose(self, state: State, process: int, pending: Pending) -> Iterator[tuple[Label, State]]:
        """The ways in which the reply to a command may be lost."""
        command = pending.command
        for kind in self.bounds.kinds:
            after = state._replace(losses=state.losses + 1)
            event = Event("lose", pending.number, kind)
            if kind == "unacknowledged":
                if not command.writes or len(command.steps) > 1:
                    continue
                after, reply = self._execute(after, process, self.steps.number(command.steps[0]))
                if b"duplicate" in reply:
                    continue
                after = self._happen(after, process, event, executed=pending.number)
            else:
                after = self._happen(after, process, event)
            yield ("lose", process, pending, kind), after

    def _receive(
        self, state: State, process: int, pending: Pending, replies: Mapping[int, bytes]
    ) -> State:
        """The state after the database has executed more steps of a command."""
        if len(replies) == len(pending.command.steps):
            event = Event("reply", pending.number, tuple(replies[n] for n in sorted(replies)))
            return self._happen(state, process, event, executed=pending.number)
        others = (each for each in state.partial if each[:2] != (process, pending.number))
        entry = Partial(process, pending.number, tuple(sorted(replies.items())))
        return state._replace(partial=tuple(sorted((*others, entry))))

    def _happen(self, state: State, process: int, event: Event, executed: int = 0) -> State:
        """The state after an event has happened to a process.

        If the process stops waiting for a write, other than the one that was `executed`, the steps
        that are missing may still be executed.
        """
        histories, node = self.histories[process], state.nodes[process]
        following = histories.after(node, event)
        waiting = {pending.number for pending in histories.views[following].pending}
        floating, gone = list(state.floating), set()
        for pending in histories.views[node].pending:
            if pending.number in waiting:
                continue
            gone.add((process, pending.number))
            if pending.number != executed and pending.command.writes:
                replies = replies_to(state, process, pending.number)
                for number, step in enumerate(pending.command.steps):
                    if number not in replies:
                        floating.append((process, self.steps.number(step)))
        return state._replace(
            nodes=(*state.nodes[:process], following, *state.nodes[process + 1 :]),
            partial=tuple(each for each in state.partial if each[:2] not in gone),
            floating=tuple(sorted(floating)),
        )

    def _execute(self, state: State, process: int, step: int) -> tuple[State, bytes]:
        """Let the database execute a step of a process."""
        key = (state.contents, step)
        if key not in self._executed:
            contents, reply = execute(self.contents.items[state.contents], self.steps.items[step])
            self._executed[key] = (self.contents.number(contents), reply)
        after, reply = self._executed[key]
        if after == state.contents:
            return state, reply
        changed, facts = self._effect(process, state.contents, after)
        made = list(state.made)
        for request in changed:
            made[request] += 1
        number = state.facts
        if not facts <= self.facts.items[number]:
            number = self.facts.number(self.facts.items[number] | facts)
        return state._replace(contents=after, made=tuple(made), facts=number), reply

    def _effect(self, process: int, before: int, after: int) -> tuple[Sequence[int], Facts]:
        """The requests of a process that a write carries out, and what is true afterwards."""
        key = (process, before, after)
        if key not in self._effects:
            old, new = self.contents.items[before], self.contents.items[after]
            requests = self.scenario.writers[process].requests
            changed = [
                number
                for number, request in enumerate(requests, self._first_requests[process])
                if request.made(old, new)
            ]
            self._effects[key] = (changed, facts_of(new, self.scenario.ids))
        return self._effects[key]


def earliest(view: View) -> float:
    """The time at which a process has sent its oldest command, or wants to continue."""
    times = [pending.sent_at for pending in view.pending]
    if not times and view.timer is not None:
        times = [view.timer]
    return min(times, default=view.now)


def replies_to(state: State, process: int, number: int) -> dict[int, bytes]:
    """The replies to the steps of a command that have been executed."""
    for entry in state.partial:
        if entry[:2] == (process, number):
            return dict(entry.replies)
    return {}
