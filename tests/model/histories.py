"""What processes have experienced, and what they do next.

A process depends only on the replies that it gets, so it is run only for a history that is new. The
explorer combines histories of several processes without running them again.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.model.process import Process, View

LIVE_PROCESSES = 3000
"""How many processes are kept in memory, each at the end of a history."""


@dataclass(frozen=True)
class Event:
    """Something that happens to a process."""

    kind: str
    """`reply`, `lose`, `timer`, `start` or `crash`."""
    number: int = 0
    """The number of the command, or the index of the request that starts."""
    details: Any = None
    """The replies to the command, or how its reply is lost."""


class Histories:
    """The histories of one process, as a tree: each node is a history, and each edge an event."""

    def __init__(self, make: Callable[[], Process]) -> None:
        self._make = make
        self.views: list[View] = []
        self.depths: list[int] = []
        self._edges: list[tuple[int, Event] | None] = []
        self._children: dict[tuple[int, Event], int] = {}
        self._ended: dict[View, int] = {}
        self._live: OrderedDict[int, Process] = OrderedDict()
        process = make()
        self.root = self._add(process.view(), None, 0)
        self._live[self.root] = process

    def after(self, node: int, event: Event) -> int:
        """The history that follows when an event happens."""
        key = (node, event)
        if key not in self._children:
            self._children[key] = self._experience(node, event)
        return self._children[key]

    def _experience(self, node: int, event: Event) -> int:
        if event.kind == "crash":
            return self._end(self.views[node])
        process = self._live.pop(node, None) or self._replay(node)
        happen(process, event)
        view = process.view()
        if view.finished:
            process.close()
            return self._end(view)
        child = self._add(view, (node, event), self.depths[node] + 1)
        self._live[child] = process
        if len(self._live) > LIVE_PROCESSES:
            self._live.popitem(last=False)[1].close()
        return child

    def _end(self, view: View) -> int:
        """The history of a process that does nothing any more: only its responses matter."""
        view = View(told=view.told)
        if view not in self._ended:
            self._ended[view] = self._add(view, None, 0)
        return self._ended[view]

    def _add(self, view: View, edge: tuple[int, Event] | None, depth: int) -> int:
        self.views.append(view)
        self._edges.append(edge)
        self.depths.append(depth)
        return len(self.views) - 1

    def _replay(self, node: int) -> Process:
        """A new process with this history."""
        events = []
        at = node
        while (edge := self._edges[at]) is not None:
            at, event = edge
            events.append(event)
        process = self._make()
        for event in reversed(events):
            happen(process, event)
        if process.view() != self.views[node]:
            raise AssertionError(f"the process is not deterministic: {self.views[node]}")
        return process

    def close(self) -> None:
        for process in self._live.values():
            process.close()
        self._live.clear()


def happen(process: Process, event: Event) -> None:
    """Let an event happen to a process."""
    match event.kind:
        case "reply":
            process.reply(event.number, event.details)
        case "lose":
            process.lose(event.number, event.details)
        case "timer":
            process.fire_timer()
        case "start":
            process.start(event.number)
