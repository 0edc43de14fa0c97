"""Histories with one mistake, by which the checker is tested.

Each corruption changes a correct history so that one property no longer holds.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

from tests.chaos.facts import Facts
from tests.chaos.history import Dump, History, Operation, State
from tests.chaos.model import LIVE
from tests.chaos.timeline import Interval, Timeline

Corruption = Callable[["Corruptible"], None]
CORRUPTIONS: list[tuple[str, Corruption]] = []
"""The property that each corruption violates, and the corruption."""


def violates(property_: str) -> Callable[[Corruption], Corruption]:
    def register(corruption: Corruption) -> Corruption:
        CORRUPTIONS.append((property_, corruption))
        return corruption

    return register


class Corruptible:
    """A copy of a history, and means to find something in it and to change it."""

    def __init__(self, history: History) -> None:
        operations = [
            replace(o, answer=deepcopy(o.answer), body=deepcopy(o.body)) for o in history.operations
        ]
        self.history = replace(
            history,
            operations=operations,
            at_end=deepcopy(history.at_end),
            stops=list(history.stops),
            leaks=list(history.leaks),
            errors=list(history.errors),
        )
        self.facts = Facts(self.history)
        self.end = max(o.start for o in operations) + 10

    @property
    def dump(self) -> Dump:
        assert self.history.at_end is not None
        return self.history.at_end

    def find(self, kind: str, status: int, **fields: Any) -> Operation:
        """The first operation of this kind with this status, and with these values.

        It has no key, so that no other request repeats it.
        """
        return next(
            operation
            for operation in self.history.operations
            if (operation.kind, operation.status, operation.key) == (kind, status, None)
            and all(getattr(operation, name) == value for name, value in fields.items())
        )

    def find_state(self, condition: Callable[[State], bool]) -> State:
        """The first state of a session that meets a condition."""
        return next(
            state
            for timeline in self.facts.sessions.values()
            for state in timeline.states.values()
            if condition(state)
        )

    def find_change(self, **fields: Any) -> Operation:
        """The first change of a session whose states before and after it were shown by others."""
        return next(
            operation
            for operation in self.history.operations
            if (operation.kind, operation.status) == ("update session", 200)
            and all(getattr(operation, name) == value for name, value in fields.items())
            and self._is_shown_by_others(operation)
        )

    def _is_shown_by_others(self, operation: Operation) -> bool:
        timeline, version = self.facts.sessions[str(operation.session_id)], operation.etag or 0
        window = timeline.window(operation)
        shown = [o.version for o in timeline.observations if o.state is not None]
        known = all(each in timeline.states for each in [version - 1, *window])
        return known and shown.count(version) > 1

    def rewrite(self, state: State, **changes: Any) -> None:
        """Change a state in every answer that shows it."""
        key = "session_id" if "session_id" in state else "player_id"
        found = 0
        for operation in self.history.operations:
            for shown in self.facts.shown(operation):
                if all(shown.get(k) == state[k] for k in (key, "version", "created_at")):
                    shown.update(deepcopy(changes))
                    found += 1
        assert found

    def append(
        self,
        kind: str,
        status: int,
        *player_ids: str,
        answer: State | None = None,
        session_id: str | None = None,
        within: Interval | None = None,
        **fields: Any,
    ) -> None:
        """Add an operation, at the end or within an interval."""
        number = len(self.history.operations) + 10_000
        start, end = (self.end, self.end + 0.01) if within is None else shrink(within)
        operation = Operation(number, kind, 0, start, session_id, player_ids, marker=f"x-{number}")
        operation.end = operation.over = end
        operation.status, operation.answer = status, deepcopy(answer or {})
        for name, value in fields.items():
            setattr(operation, name, value)
        self.history.operations.append(operation)
        self.end += 1

    def seat(self) -> tuple[str, str, Interval]:
        """A player, a session, and a time during which the player certainly has a seat there."""
        return next(
            (player_id, session_id, interval)
            for player_id, seats in self.facts.seats.items()
            for session_id, interval in seats
            if interval.end - interval.start > 0.005
        )

    def deleted(self) -> Timeline:
        """A player who was deleted and whose id was not used again."""
        return next(
            life
            for player_id, lives in self.facts.players.items()
            for life in [list(lives.values())[-1]]
            if any(
                operation.kind == "delete player"
                and operation.status == 204
                and operation.start > life.last_seen
                for operation in self.facts.absences[player_id]
            )
        )

    def live_session(self) -> State:
        """The last state of a session in which a player took a seat during the healing."""
        session_id = self.find("join", 201, phase="healing").session_id
        timeline = self.facts.sessions[str(session_id)]
        return timeline.states[timeline.last]

    def player(self) -> State:
        """The last state of a player who exists at the end."""
        player_id = self.dump.players[0]["_id"]
        return self.find("get player", 200, player_ids=(player_id,), phase="final").answer


def shrink(interval: Interval) -> tuple[float, float]:
    """The middle of an interval."""
    quarter = (interval.end - interval.start) / 4
    return interval.start + quarter, interval.end - quarter


@violates("no session is above max_players")
def a_session_has_more_members_than_seats(history: Corruptible) -> None:
    state = history.find_state(lambda state: len(state["members"]) > 1)
    history.rewrite(state, max_players=len(state["members"]) - 1)


@violates("no player is twice in a session")
def a_member_is_listed_twice(history: Corruptible) -> None:
    state = history.find_state(lambda state: bool(state["members"]))
    history.rewrite(state, members=state["members"] * 2)


@violates("player_count + free_slots = max_players")
def a_seat_too_many_is_free(history: Corruptible) -> None:
    state = history.live_session()
    history.rewrite(state, free_slots=state["free_slots"] + 1)


@violates("player_count + free_slots = max_players")
def a_member_is_not_counted(history: Corruptible) -> None:
    state = history.find_state(lambda state: bool(state["members"]))
    history.rewrite(
        state, player_count=state["player_count"] - 1, free_slots=state["free_slots"] + 1
    )


@violates("player_count + free_slots = max_players")
def the_host_is_no_member(history: Corruptible) -> None:
    state = history.find_state(lambda state: bool(state["members"]))
    history.rewrite(state, host_player_id="nobody")


@violates("player_count + free_slots = max_players")
def a_session_is_starting_without_enough_players(history: Corruptible) -> None:
    state = history.live_session()
    history.rewrite(state, status="starting", min_players=state["player_count"] + 1)


@violates("a player has one seat")
def a_player_hosts_another_session_while_seated(history: Corruptible) -> None:
    player_id, session_id, interval = history.seat()
    answer = history.find_state(
        lambda state: state["session_id"] == session_id
        and any(member["player_id"] == player_id for member in state["members"])
    ) | {"session_id": "another", "version": 1, "status": "waiting"}
    third = (interval.end - interval.start) / 3
    for start in (interval.start, interval.end - third):
        history.append(
            "get session",
            200,
            session_id="another",
            answer=answer,
            within=Interval(start, start + third),
        )


@violates("a player has one seat")
def two_documents_seat_the_same_player(history: Corruptible) -> None:
    first, second = [s for s in history.dump.sessions if s["status"] in LIVE][:2]
    first["members"].append({"player_id": "p", "claim": "t"})
    second["members"].append({"player_id": "p", "claim": "t"})


@violates("a version has one state")
def two_responses_contradict_each_other(history: Corruptible) -> None:
    state = history.live_session()
    history.append(
        "get session", 200, session_id=state["session_id"], answer=state | {"name": "another"}
    )


@violates("a version has one state")
def two_responses_show_different_players(history: Corruptible) -> None:
    player = history.player()
    history.append("get player", 200, player["player_id"], answer=player | {"rating": 99})


@violates("nothing goes back")
def a_session_is_shown_as_it_was(history: Corruptible) -> None:
    state = history.find_state(lambda state: state["version"] == 1)
    assert history.facts.sessions[state["session_id"]].last > 1
    history.append("get session", 200, session_id=state["session_id"], answer=state)


@violates("nothing goes back")
def an_acknowledged_change_of_a_player_is_lost(history: Corruptible) -> None:
    player = history.player()
    change = {"attributes": {"writer": "x"}}
    for version in (1, 0):
        answer = player | change | {"version": player["version"] + version}
        history.append("update player", 200, player["player_id"], answer=answer, body=change)


@violates("versions have no gaps")
def a_version_was_made_by_nobody(history: Corruptible) -> None:
    operation = history.find_change()
    history.history.operations.remove(operation)


@violates("versions have no gaps")
def a_version_was_made_by_two(history: Corruptible) -> None:
    operation = history.find("update session", 200)
    history.history.operations.append(replace(operation, number=9999))


@violates("versions have no gaps")
def a_version_was_skipped(history: Corruptible) -> None:
    state = history.live_session()
    later = state | {"version": state["version"] + 2}
    history.append("get session", 200, session_id=state["session_id"], answer=later)


@violates("versions have no gaps")
def a_seat_is_lost_without_a_request(history: Corruptible) -> None:
    leave = next(
        operation
        for operation in history.history.operations
        if operation.kind == "leave" and operation.phase == "healing"
    )
    history.history.operations.remove(leave)


@violates("a version is one change")
def a_change_changed_something_else_too(history: Corruptible) -> None:
    operation = history.find_change()
    history.rewrite(operation.answer, region="eu")


@violates("a version is one change")
def a_change_was_made_in_another_version_than_demanded(history: Corruptible) -> None:
    operation = history.find("update session", 200)
    operation.if_match = operation.answer["version"]


@violates("a version is one change")
def a_change_was_made_that_the_rules_forbid(history: Corruptible) -> None:
    state = history.find_state(lambda state: state["status"] == "cancelled")
    body = {"attributes": {"writer": "x"}}
    answer = state | body | {"version": state["version"] + 1}
    history.append("update session", 200, session_id=state["session_id"], answer=answer, body=body)


@violates("a version is one change")
def a_creation_made_something_else(history: Corruptible) -> None:
    operation = history.find("create session", 201)
    history.rewrite(operation.answer, visibility="other")


@violates("changes are visible")
def a_player_has_the_seat_after_leaving(history: Corruptible) -> None:
    player_id, session_id, interval = history.seat()
    history.append("leave", 204, player_id, session_id=session_id, within=interval)


@violates("changes are visible")
def a_leave_ignored_its_condition(history: Corruptible) -> None:
    player_id, session_id, interval = history.seat()
    history.append("leave", 204, "nobody", session_id=session_id, if_match=999)


@violates("changes are visible")
def a_party_is_not_complete(history: Corruptible) -> None:
    operation = history.find("party", 200)
    operation.player_ids += ("nobody",)


@violates("changes are visible")
def a_player_is_not_in_the_session_of_the_player(history: Corruptible) -> None:
    operation = history.find("player session", 200)
    operation.player_ids = ("nobody",)


@violates("times are in order")
def a_member_joined_before_the_session_was_created(history: Corruptible) -> None:
    state = history.find_state(lambda state: bool(state["members"]))
    members = deepcopy(state["members"])
    members[0]["joined_at"] = "2000-01-01T00:00:00.000Z"
    history.rewrite(state, members=members)


@violates("times are in order")
def a_session_ended_before_it_started(history: Corruptible) -> None:
    state = history.find_state(lambda state: state["created_at"] < (state["ended_at"] or ""))
    history.rewrite(state, ended_at=state["created_at"], started_at=state["updated_at"])


@violates("times are in order")
def a_live_session_has_ended(history: Corruptible) -> None:
    state = history.live_session()
    history.rewrite(state, ended_at=state["updated_at"])


@violates("times are in order")
def a_later_version_is_older(history: Corruptible) -> None:
    state = history.live_session()
    later = {"version": state["version"] + 1, "updated_at": state["created_at"]}
    history.append("get session", 200, session_id=state["session_id"], answer=state | later)
