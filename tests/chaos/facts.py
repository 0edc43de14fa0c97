"""The facts that the properties are checked on: timelines of all resources of a history."""

from collections import defaultdict
from collections.abc import Iterator
from math import inf

from tests.chaos.history import (
    SESSION_CREATIONS,
    Dump,
    History,
    Operation,
    State,
)
from tests.chaos.keys import merged
from tests.chaos.model import seated, versioned
from tests.chaos.timeline import Interval, Timeline

SHOWS_SESSION = SESSION_CREATIONS | {
    *("update session", "join", "party", "update member"),
    *("get session", "player session", "repeat name"),
}
SHOWS_PLAYER = {"create player", "get player", "update player"}
LISTS = {"list sessions", "list players"}


class Facts:
    """A history, arranged by resource."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.sent = list(history.sent())
        """The requests as they were sent."""
        self.requests = list(merged(history.operations))
        """The same, with one in the place of those that repeat each other, and those unsent."""
        self.operations = [operation for operation in self.requests if operation.sent]
        self.sessions: dict[str, Timeline] = {}
        self.players: dict[str, dict[str, Timeline]] = defaultdict(dict)
        """By player_id, and then by the marker of the creation, since ids are used again."""
        self.absences: dict[str, list[Operation]] = defaultdict(list)
        """The requests that found, or made, that there is no such player."""
        self.by_session: dict[str, list[Operation]] = defaultdict(list)
        self.by_player: dict[str, list[Operation]] = defaultdict(list)
        self.creations = {o.marker: o for o in self.operations if o.kind == "create player"}
        for operation in self.operations:
            self._read(operation)
        for timeline in self.timelines():
            timeline.finish()
        self.seats = self._seats()
        """By player_id, the sessions and times in which the player certainly had a seat."""

    def timelines(self) -> Iterator[Timeline]:
        yield from self.sessions.values()
        yield from self.lives()

    def lives(self) -> Iterator[Timeline]:
        for lives in self.players.values():
            yield from lives.values()

    def dumps(self) -> Iterator[Dump]:
        for dump in (self.history.before_healing, self.history.at_end):
            if dump is not None:
                yield dump

    def certainly_exists(self, player_id: str, operation: Operation) -> bool:
        """Whether there was such a player during the whole operation."""
        return any(
            Interval(life.first_seen, life.last_seen).covers(operation)
            for life in self.players[player_id].values()
        )

    def born(self, life: Timeline) -> float:
        """When the creation of a player began."""
        birth = next(str(state["region"]) for state in life.states.values())
        creation = self.creations.get(birth)
        return life.first_seen if creation is None else creation.start

    def shown(self, operation: Operation) -> Iterator[State]:
        """Every player and session that the answer shows."""
        if operation.status not in (200, 201):
            return
        if operation.kind in SHOWS_SESSION | SHOWS_PLAYER:
            yield operation.answer
        elif operation.kind in LISTS:
            yield from operation.answer["items"]

    def _read(self, operation: Operation) -> None:
        if operation.session_id is not None:
            self.by_session[operation.session_id].append(operation)
        for player_id in operation.player_ids:
            self.by_player[player_id].append(operation)
        for state in self.shown(operation):
            self._timeline(state).add(state["version"], versioned(state), operation)
        if operation.status == 304 and operation.etag is not None and operation.session_id:
            self._session(operation.session_id).add(operation.etag, None, operation)
        if operation.code == "player_not_found":
            missing = operation.answer.get("player_id") or operation.player_id
            self.absences[missing].append(operation)
        if operation.kind == "delete player" and operation.status == 204:
            self.absences[operation.player_id].append(operation)

    def _timeline(self, state: State) -> Timeline:
        if "session_id" in state:
            return self._session(state["session_id"])
        player_id, birth = state["player_id"], str(state["region"])
        return self.players[player_id].setdefault(birth, Timeline(f"{player_id} ({birth})"))

    def _session(self, session_id: str) -> Timeline:
        return self.sessions.setdefault(session_id, Timeline(session_id))

    def _seats(self) -> dict[str, list[tuple[str, Interval]]]:
        seats: dict[str, list[tuple[str, Interval]]] = defaultdict(list)
        for session_id, timeline in self.sessions.items():
            present = {
                member["player_id"]
                for state in timeline.states.values()
                for member in state["members"]
            }
            for player_id in present:
                for interval in timeline.certain(lambda state: seated(state, player_id)):
                    seats[player_id].append((session_id, interval))
        return seats


def end_of(life: Timeline, facts: Facts, player_id: str) -> float:
    """When this life of the player had certainly ended; infinite if that is not known."""
    gone = [operation for operation in facts.absences[player_id]]
    for other in facts.players[player_id].values():
        if other is not life:
            gone += [observation.operation for observation in other.observations]
    return min((o.end for o in gone if o.start > life.first_seen), default=inf)
