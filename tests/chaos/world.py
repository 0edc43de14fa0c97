"""What the clients of a round know, and the requests that they have sent with a key."""

from collections import deque
from dataclasses import replace
from math import inf

from tests.chaos.history import SESSION_CREATIONS, Operation, State
from tests.chaos.model import LIVE, members

PLAYERS = 14
SESSIONS = 5
"""How many sessions are used at a time; older ones are cancelled."""
REMEMBERED = 40
"""How many requests with a key are remembered, so that they can be repeated."""


class World:
    """What the clients of a round know: ids, and the last versions and seats that they saw."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.players = [f"r{number}-p{index}" for index in range(PLAYERS)]
        self.existing: set[str] = set()
        """The players who probably exist; some of them have ids that the service generated."""
        self.creating: list[str] = []
        """The players whose creation is in progress."""
        self.sessions: deque[str] = deque()
        self.retired: deque[str] = deque()
        """Sessions that have to be cancelled, so that their players are free again."""
        self.versions: dict[str, int] = {}
        self.statuses: dict[str, str] = {}
        self.seats: dict[str, str] = {}
        self.hosts: dict[str, str | None] = {}
        self.keyed: deque[Operation] = deque(maxlen=REMEMBERED)
        """The latest requests with a key."""
        self._answered: set[tuple[str, str]] = set()
        self._count = 0

    def operation(self, kind: str, *player_ids: str, session_id: str | None = None) -> Operation:
        self._count += 1
        marker = f"r{self.number}-{self._count}"
        return Operation(
            self._count, kind, 0, 0.0, session_id, player_ids=player_ids, marker=marker
        )

    def again(self, operation: Operation) -> Operation:
        """The same request once more."""
        self._count += 1
        return replace(
            operation,
            number=self._count,
            end=inf,
            over=inf,
            status=None,
            answer={},
            etag=None,
            location=None,
            text="",
            replayed=False,
            sent=True,
        )

    def learn(self, operation: Operation) -> None:
        """Remember what an answer shows, unless it is the repetition of an earlier one."""
        if operation.key is not None:
            request = (operation.key, operation.marker)
            if not operation.kept or request in self._answered:
                return
            self._answered.add(request)
        if operation.status in (200, 201):
            for state in operation.answer.get("items", [operation.answer]):
                key = state.get("session_id") or state["player_id"]
                self.versions[key] = state["version"]
                if "session_id" in state:
                    self._learn_seats(state)
                else:
                    self.existing.add(state["player_id"])
            if operation.kind in SESSION_CREATIONS:
                self.sessions.append(operation.answer["session_id"])
                if len(self.sessions) > SESSIONS:
                    self.retired.append(self.sessions.popleft())
        elif operation.status == 204 or operation.code in ("not_in_session", "not_a_member"):
            for player_id in operation.player_ids:
                self.seats.pop(player_id, None)
        if operation.kind == "delete player" and operation.status == 204:
            self.existing.discard(operation.player_id)
        if operation.code == "player_not_found" and len(operation.player_ids) == 1:
            self.existing.discard(operation.player_id)

    def _learn_seats(self, state: State) -> None:
        self.statuses[state["session_id"]] = state["status"]
        self.hosts[state["session_id"]] = state["host_player_id"]
        for player_id in members(state):
            if state["status"] in LIVE:
                self.seats[player_id] = state["session_id"]
            elif self.seats.get(player_id) == state["session_id"]:
                del self.seats[player_id]
