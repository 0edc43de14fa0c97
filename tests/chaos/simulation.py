"""A service that exists only in memory and never fails, for the tests of the checker.

It executes the operations of the workload one after the other, by the rules of `model`. Requests
overlap in time all the same, some of them lose their answers, and some of those take effect later.
"""

import json
import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.history import IN_PROGRESS, REUSED, Dump, History, Operation, State
from tests.chaos.keys import repetitions
from tests.chaos.model import (
    LIVE,
    change,
    created,
    created_player,
    members,
    newcomers,
    refusals,
    timeless,
)
from tests.chaos.permissions import denial
from tests.chaos.workload import NAME, Choices, unanswered
from tests.chaos.world import World

FIRST_SESSIONS = 5
STOPPED = 1
"""The number of the process that is not running when answers are lost."""


@dataclass
class Refused(Exception):
    """The answer to an operation that is refused."""

    status: int
    code: str
    members: dict[str, Any] = field(default_factory=dict)


@dataclass
class Keyed:
    """A request with a key, and its answer if there is one."""

    marker: str
    answer: tuple[int, State] | None = None


class Simulation:
    """The service and its clients. Everything that happens follows from the seed.

    `lost` is the share of requests whose answers are lost.
    """

    def __init__(self, seed: int, lost: float) -> None:
        self.history = History(disturbed=lost > 0, stops=[(STOPPED, -1.0, float("inf"))])
        self._lost = lost
        self.players: dict[str, State] = {}
        self.sessions: dict[str, State] = {}
        self._keyed: dict[str, Keyed] = {}
        self._chance = random.Random(seed)
        self._world = World(0)
        self._choices = Choices(self._world, str(seed))
        self._now = 0.0
        self._late: list[tuple[float, Operation]] = []
        self._handlers: dict[str, Callable[[Operation], tuple[int, State]]] = {
            "create player": self._create_player,
            "get player": self._get_player,
            "update player": self._update_player,
            "delete player": self._delete_player,
            "list players": self._list_players,
            "player session": self._player_session,
            "list sessions": self._list_sessions,
            "create session": self._create_session,
            "create session with host": self._create_session,
        }

    def run(self, count: int) -> History:
        """Execute this many operations, give everybody a seat, and read everything."""
        for _ in range(FIRST_SESSIONS):
            self._request(self._choices.create_session())
        for _ in range(count):
            self._request(self._choices.next())
        self._now += 100
        self._deliver_late()
        self._settle()
        self._heal()
        self.history.at_end = self._dump()
        for player_id in self.players:
            self._read("get player", player_id)
        for session_id in self.sessions:
            self._read("get session", session_id=session_id)
        return self.history

    def _request(self, operation: Operation) -> None:
        """Execute an operation at a moment between its request and its answer."""
        self._now += self._chance.expovariate(1000)
        self._deliver_late()
        operation.start = self._now - self._chance.uniform(0, 0.01)
        self.history.operations.append(operation)
        lost = operation.phase == "load" and self._chance.random() < self._lost
        operation.process = STOPPED if lost else 0
        if lost and self._chance.random() < 0.4:
            return  # The request is lost, and not its answer.
        if lost and self._chance.random() < 0.4:
            if operation.key is None or self._begin(operation):
                self._late.append((self._now + self._chance.uniform(0, 1), operation))
            return
        status, answer = self._answer(operation)
        operation.over = self._now + self._chance.uniform(0, 0.01)
        if lost:
            operation.status = self._chance.choice((None, 503))
            return
        operation.end, operation.status, operation.answer = operation.over, status, answer
        operation.etag = answer.get("version") if status in (200, 201) else None
        if operation.key is not None:
            operation.text = json.dumps(answer)
        self._world.learn(operation)

    def _deliver_late(self) -> None:
        for item in [item for item in self._late if item[0] <= self._now]:
            self._late.remove(item)
            self._keep(item[1], self._execute(item[1]))

    def _answer(self, operation: Operation) -> tuple[int, State]:
        """The answer to an operation, which is an earlier one if its key is known."""
        if operation.key is None or self._begin(operation):
            return self._keep(operation, self._execute(operation))
        known = self._keyed[operation.key]
        if known.marker != operation.marker:
            return 422, {"code": REUSED}
        if known.answer is None:
            return 409, {"code": IN_PROGRESS}
        operation.replayed = True
        return known.answer

    def _begin(self, operation: Operation) -> bool:
        """Whether this is the first request with its key, which will be executed."""
        known = Keyed(operation.marker)
        return self._keyed.setdefault(str(operation.key), known) is known

    def _keep(self, operation: Operation, answer: tuple[int, State]) -> tuple[int, State]:
        """Keep the answer to a request with a key, unless it is one that is not kept."""
        if operation.key is not None:
            if answer[0] == 403:
                del self._keyed[operation.key]
            else:
                self._keyed[operation.key].answer = answer[0], deepcopy(answer[1])
        return answer

    def _execute(self, operation: Operation) -> tuple[int, State]:
        try:
            session = self.sessions.get(str(operation.session_id))
            if denied := denial(operation, session):
                raise Refused({"unauthenticated": 401, "forbidden": 403}.get(denied, 404), denied)
            if operation.session_id is not None:
                return self._execute_on_session(operation)
            return self._handlers[operation.kind](operation)
        except Refused as refused:
            return refused.status, {"code": refused.code, **refused.members}

    def _time(self) -> str:
        return f"2026-11-22T19:{int(self._now // 60):02}:{self._now % 60:06.3f}Z"

    def _get(self, player_id: str) -> State:
        if player_id not in self.players:
            raise Refused(404, "player_not_found", {"player_id": player_id})
        return self.players[player_id]

    def _check_version(self, operation: Operation, state: State) -> None:
        if operation.if_match not in (None, state["version"]):
            raise Refused(412, "version_mismatch", {"current_version": state["version"]})

    def _check_name(self, operation: Operation, player_id: str) -> None:
        name = str(operation.body.get("username")).lower()
        for player in self.players.values():
            if player["username"].lower() == name and player["player_id"] != player_id:
                raise Refused(409, "username_taken")

    def _seat_of(self, player_id: str) -> State | None:
        return next(
            (s for s in self.sessions.values() if s["status"] in LIVE and player_id in members(s)),
            None,
        )

    def _create_player(self, operation: Operation) -> tuple[int, State]:
        player_id = operation.player_id if operation.player_ids else operation.marker + "-id"
        if player_id in self.players:
            raise Refused(409, "player_exists")
        self._check_name(operation, player_id)
        dates = {"created_at": self._time(), "updated_at": self._time(), "version": 1}
        self.players[player_id] = created_player(operation, player_id) | dates
        return 201, self.players[player_id]

    def _get_player(self, operation: Operation) -> tuple[int, State]:
        return 200, self._get(operation.player_id)

    def _update_player(self, operation: Operation) -> tuple[int, State]:
        player = self._get(operation.player_id)
        self._check_version(operation, player)
        self._check_name(operation, operation.player_id)
        changed = {"updated_at": self._time(), "version": player["version"] + 1}
        self.players[operation.player_id] = player | operation.body | changed
        return 200, self.players[operation.player_id]

    def _delete_player(self, operation: Operation) -> tuple[int, State]:
        self._check_version(operation, self._get(operation.player_id))
        seat = self._seat_of(operation.player_id)
        if seat is not None:
            raise Refused(409, "in_session", {"session_id": seat["session_id"]})
        del self.players[operation.player_id]
        return 204, {}

    def _list_players(self, operation: Operation) -> tuple[int, State]:
        name = operation.query.get("username", "").lower()
        found = [p for p in self.players.values() if name in ("", p["username"].lower())]
        return 200, {"items": found, "next_cursor": None}

    def _player_session(self, operation: Operation) -> tuple[int, State]:
        self._get(operation.player_id)
        seat = self._seat_of(operation.player_id)
        if seat is None:
            raise Refused(404, "not_in_session")
        return 200, seat

    def _list_sessions(self, operation: Operation) -> tuple[int, State]:
        status = operation.query.get("status")
        found = [
            session
            for session in self.sessions.values()
            if session["visibility"] == "public" and status in (None, session["status"])
        ]
        return 200, {"items": found[:20], "next_cursor": None}

    def _create_session(self, operation: Operation) -> tuple[int, State]:
        session_id = f"s-{operation.number}"
        session = created(operation, session_id)
        self._check_seats(session_id, members(session))
        self._store(session, {}, operation)
        return 201, self.sessions[session_id]

    def _check_seats(self, session_id: str, player_ids: list[str]) -> None:
        for player_id in player_ids:
            self._get(player_id)
            seat = self._seat_of(player_id)
            if seat is not None and seat["session_id"] != session_id:
                details = {"session_id": seat["session_id"], "player_id": player_id}
                raise Refused(409, "already_in_session", details)

    def _execute_on_session(self, operation: Operation) -> tuple[int, State]:
        session_id = str(operation.session_id)
        session = self.sessions[session_id]
        if operation.kind in ("get session", "repeat name"):
            return 200, session
        for code in sorted(refusals(operation, session), reverse=True):
            status = {"version_mismatch": 412, "not_a_member": 404}.get(code, 409)
            raise Refused(status, code, {"current_version": session["version"]})
        arriving = newcomers(operation, session) if operation.kind in ("join", "party") else []
        self._check_seats(session_id, arriving)
        changed = change(operation, session)
        if changed != timeless(session):
            self._store(changed, session, operation)
        if operation.kind == "leave":
            return 204, {}
        seated = operation.kind == "join" and bool(arriving)
        return 201 if seated else 200, self.sessions[session_id]

    def _store(self, changed: State, before: State, operation: Operation) -> None:
        """Store a session with its times and its version."""
        now = self._time()
        joined = {m["player_id"]: m["joined_at"] for m in before.get("members", [])}
        started = before.get("started_at") or (now if changed["status"] == "active" else None)
        self.sessions[changed["session_id"]] = changed | {
            "members": [
                {**m, "joined_at": joined.get(m["player_id"], now)} for m in changed["members"]
            ],
            "created_at": before.get("created_at", now),
            "updated_at": now,
            "started_at": started,
            "ended_at": None if changed["status"] in LIVE else now,
            "version": before.get("version", 0) + 1,
        }

    def _settle(self) -> None:
        """Repeat every request with a key that has no answer."""
        for group in repetitions(self.history.operations).values():
            if all(unanswered(operation) for operation in group):
                operation = self._world.again(group[0])
                operation.phase = "settling"
                self._request(operation)
        self.history.settled = True

    def _read(self, kind: str, *player_ids: str, session_id: str | None = None) -> None:
        operation = self._world.operation(kind, *player_ids, session_id=session_id)
        operation.phase = "final"
        self._request(operation)

    def _heal(self) -> None:
        """Every player leaves and takes a seat in a new session."""
        for player_id in list(self.players):
            creation = self._world.operation("create session")
            creation.body = {"name": NAME, "game_mode": creation.marker, "max_players": 64}
            creation.phase = "healing"
            self._request(creation)
            seat = self._seat_of(player_id)
            steps = [("leave", seat["session_id"])] if seat else []
            for kind, session_id in [*steps, ("join", creation.answer["session_id"])]:
                operation = self._world.operation(kind, player_id, session_id=session_id)
                operation.body = {"team": operation.marker} if kind == "join" else {}
                operation.phase = "healing"
                self._request(operation)

    def _dump(self) -> Dump:
        seats = {p: self._seat_of(p) for p in self.players}
        return Dump(
            [
                {
                    "_id": player_id,
                    "username": player["username"],
                    "region": player["region"],
                    "session_id": seat["session_id"] if (seat := seats[player_id]) else None,
                    "claim": f"t-{player_id}" if seat else None,
                }
                for player_id, player in self.players.items()
            ],
            [
                {
                    "_id": session_id,
                    "version": session["version"],
                    "game_mode": session["game_mode"],
                    "status": session["status"],
                    "members": [{"player_id": p, "claim": f"t-{p}"} for p in members(session)],
                }
                for session_id, session in self.sessions.items()
            ],
        )
