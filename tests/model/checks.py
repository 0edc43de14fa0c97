"""What has to hold in every state, and when every process has ended."""

from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from typing import Any

from tests.model.memory import Contents, Step, execute
from tests.model.process import Told, run_alone
from tests.model.requests import (
    Create,
    Facts,
    Join,
    Keyed,
    ModelRequest,
    contradiction,
    players_in,
    seats,
)
from tests.model.scenarios import Scenario

FRESH = "fresh"
"""The id of a session that is empty."""
PROBE_AT, RETRY_AFTER = 2.0, 1.0


class Checks:
    """The checks of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._requests: list[ModelRequest] = [
            request for writer in scenario.writers for request in writer.requests
        ]
        self._versions = {
            document["_id"]: document["version"]
            for document in scenario.initial.collection("sessions")
        }
        contents, told = run_alone(Contents({}), 0, [Create(FRESH)], -60)
        self._fresh = contents.document("sessions", FRESH) or {}
        self._probes: dict[Any, str | None] = {}
        # A session that is claimed before it exists blocks nobody once its creation is over.
        self._probe_at = PROBE_AT + max(
            (w.starts_at for w in scenario.writers if isinstance(w.requests[0], Keyed)), default=0
        )

    def violation(
        self,
        contents: Contents,
        told: Sequence[Told | None],
        made: Sequence[int],
        facts: Facts,
        faults: bool,
    ) -> str | None:
        """What does not hold in a state. `told` and `made` have an entry for each request."""
        keyed = [isinstance(request, Keyed) for request in self._requests]
        attempts = sum(count for count, each in zip(made, keyed, strict=True) if each)
        for request, response, count in zip(self._requests, told, made, strict=True):
            if isinstance(request, Keyed):
                count = attempts  # All of them are attempts of one creation.
            if problem := contradiction(request, response, count, facts, contents):
                return problem
        made_in: Counter[str] = Counter()
        for request, count in zip(self._requests, made, strict=True):
            if not isinstance(request, Create) and hasattr(request, "session_id"):
                made_in[request.session_id] += count
        for document in contents.collection("sessions"):
            session_id = document["_id"]
            if "version" not in document:
                if not faults:
                    return f"the tombstone {session_id} was made without a fault"
                continue
            changes = made_in[session_id]
            if document["version"] != self._versions.get(session_id, 1) + changes:
                return f"{session_id} has version {document['version']} after {changes} changes"
            if problem := broken_session(document):
                return problem
        return broken_seats(contents)

    def violation_at_end(
        self,
        contents: Contents,
        told: Sequence[Told | None],
        floating: Sequence[Step],
        faults: bool,
    ) -> str | None:
        """What does not hold when every process has ended."""
        if not faults:
            for response in told:
                if response is None or response.kind == "unavailable":
                    return f"the responses are {[str(each) for each in told]} without a fault"
            for player in players_in(contents):
                if player["session_id"] is not None:
                    session = contents.document("sessions", player["session_id"])
                    if player["_id"] not in seats(session):
                        return f"{player['_id']} is claimed without a seat after no fault"
        versions = [
            response.details[1:]
            for request, response in zip(self._requests, told, strict=True)
            if response is not None and response.kind == "done" and response.details[0]
            if not isinstance(request, Keyed)
        ]
        if len(set(versions)) < len(versions):
            return f"two changes were told the same version: {versions}"
        ids = {
            response.details[1]
            for request, response in zip(self._requests, told, strict=True)
            if isinstance(request, Keyed) and response is not None and response.kind == "done"
        }
        if len(ids) > 1:
            return f"the attempts of one creation were told different ids: {ids}"
        for player in players_in(contents):
            if problem := self._probe(contents, player["_id"], tuple(floating)):
                return problem
        return None

    def _probe(self, contents: Contents, player_id: str, floating: tuple[Step, ...]) -> str | None:
        """Why the player can't join a fresh session with one retry, or safely."""
        key = (contents.key, player_id, floating)
        if key not in self._probes:
            self._probes[key] = self._join_fresh(contents, player_id, floating)
        return self._probes[key]

    def _join_fresh(
        self, contents: Contents, player_id: str, floating: tuple[Step, ...]
    ) -> str | None:
        contents = contents.put("sessions", self._fresh)
        join = Join(FRESH, (player_id,))
        told: list[Told | None] = []
        now = self._probe_at
        for number in (8, 9):
            contents, (response,) = run_alone(contents, number, [join], now)
            told.append(response)
            now += 4 + RETRY_AFTER
            if response and response.kind == "refused":
                code, details = response.details
                session = contents.document("sessions", dict(details).get("session_id", ""))
                if code == "already_in_session" and player_id in seats(session):
                    return None
            if response and response.kind == "done":
                break
        if player_id not in seats(contents.document("sessions", FRESH)):
            return f"{player_id} can't join another session: {[str(each) for each in told]}"
        for order in permutations(floating):
            late = contents
            for step in order:
                late, _ = execute(late, step)
                if problem := broken_seats(late):
                    return f"after {player_id} has joined another session and {step}: {problem}"
        return None


def broken_session(document: dict[str, Any]) -> str | None:
    """What does not hold within a session."""
    players = [member["player_id"] for member in document["members"]]
    if len(set(players)) < len(players):
        return f"{document['_id']} seats a player twice: {players}"
    if len(players) + document["free_slots"] != document["max_players"]:
        return f"{document['_id']} has {len(players)} members and {document['free_slots']} slots"
    if document["free_slots"] < 0:
        return f"{document['_id']} has too many members"
    if document["host_player_id"] not in (players or [None]):
        return f"{document['_id']} has the host {document['host_player_id']}"
    return None


def broken_seats(contents: Contents) -> str | None:
    """A seat whose player is not claimed by its session, or who has another seat."""
    seated: dict[str, str] = {}
    for document in contents.collection("sessions"):
        for player_id in seats(document):
            if player_id in seated:
                return f"{player_id} has seats in {seated[player_id]} and {document['_id']}"
            seated[player_id] = document["_id"]
    for player_id, session_id in seated.items():
        player = contents.document("players", player_id)
        if player is None:
            return f"{player_id} has a seat in {session_id} and does not exist"
        if player["session_id"] != session_id:
            return f"{player_id} has a seat in {session_id}, claimed by {player['session_id']}"
    return None
