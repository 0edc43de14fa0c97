"""The rules of sessions and players as the API documents them, for the checker.

This is written independently of the service. A state is what a response shows, without its times.
Rules are asked with the operation of a history: `refusals` names every reason to refuse it, and
`change` is the state that it leaves.
"""

from typing import Any

from tests.chaos.history import Operation, State
from tests.chaos.permissions import denial

LIVE = {"waiting", "starting", "active"}
TRANSITIONS = {
    "waiting": {"starting", "cancelled"},
    "starting": {"waiting", "active", "cancelled"},
    "active": {"ended", "cancelled"},
}
SESSION_FIELDS = (
    *("session_id", "name", "game_mode", "region", "status", "visibility", "max_players"),
    *("min_players", "player_count", "free_slots", "join_in_progress", "host_player_id"),
    *("server", "attributes", "created_at", "updated_at", "started_at", "ended_at", "version"),
)
MEMBER_FIELDS = ("player_id", "team", "ready", "joined_at")
PLAYER_FIELDS = (
    *("player_id", "username", "display_name", "region", "rating", "attributes"),
    *("created_at", "updated_at", "version"),
)
TIMES = {"created_at", "updated_at", "started_at", "ended_at", "version"}


def versioned(shown: State) -> State:
    """The part of a player or a session that is the same in every response with its version."""
    if "session_id" not in shown:
        return {key: shown.get(key) for key in PLAYER_FIELDS}
    state = {key: shown.get(key) for key in SESSION_FIELDS}
    state["members"] = [{k: m.get(k) for k in MEMBER_FIELDS} for m in shown.get("members", [])]
    return state


def timeless(state: State) -> State:
    """The part of a state that a rule decides."""
    kept = {key: value for key, value in state.items() if key not in TIMES}
    if "members" in kept:
        kept["members"] = [{**m, "joined_at": None} for m in kept["members"]]
    return kept


def members(state: State) -> list[str]:
    return [member["player_id"] for member in state["members"]]


def seated(state: State, player_id: str) -> bool:
    """Whether the player has a seat that counts, which means in a live session."""
    return state["status"] in LIVE and player_id in members(state)


def newcomers(operation: Operation, state: State) -> list[str]:
    present = members(state)
    return [player_id for player_id in operation.player_ids if player_id not in present]


def refusals(operation: Operation, state: State) -> set[str]:
    """Every code with which the session may refuse the operation in this state."""
    if denied := denial(operation, state):
        return {denied}
    codes = set()
    if operation.if_match not in (None, state["version"]):
        codes.add("version_mismatch")
    if operation.kind in ("join", "party"):
        codes |= _join_refusals(operation, state)
    elif operation.kind == "update member":
        if operation.player_id not in members(state):
            codes.add("not_a_member")
        if state["status"] not in LIVE:
            codes.add("session_over")
    elif operation.kind == "update session":
        codes |= _update_refusals(operation.body, state)
    return codes


def _join_refusals(operation: Operation, state: State) -> set[str]:
    codes = set()
    arriving = newcomers(operation, state)
    if arriving or state["status"] not in LIVE:
        open_ = state["status"] == "waiting" or (
            state["status"] == "active" and state["join_in_progress"]
        )
        if not open_:
            codes.add("session_not_joinable")
        if len(arriving) > state["free_slots"]:
            codes.add("session_full")
    return codes


def _update_refusals(body: State, state: State) -> set[str]:
    codes = set()
    if state["status"] not in LIVE:
        return {"session_over"}
    count = state["player_count"]
    if count > body.get("max_players", state["max_players"]):
        codes.add("too_many_members")
    if "host_player_id" in body and body["host_player_id"] not in members(state):
        codes.add("not_a_member")
    status = body.get("status", state["status"])
    if status != state["status"]:
        if status not in TRANSITIONS.get(state["status"], ()):
            codes.add("illegal_transition")
        if status in ("starting", "active"):
            if count < body.get("min_players", state["min_players"]):
                codes.add("not_enough_players")
    return codes


def change(operation: Operation, before: State) -> State:
    """The session after the operation, in the form of `timeless`; equal if it changes nothing."""
    state = timeless(before)
    if operation.kind in ("join", "party"):
        for player_id in newcomers(operation, before):
            team = operation.body.get("team")
            state["members"].append(_member(player_id, team))
    elif operation.kind == "leave":
        if before["status"] in LIVE:
            state["members"] = [
                m for m in state["members"] if m["player_id"] != operation.player_id
            ]
    elif operation.kind == "update member":
        for member in state["members"]:
            if member["player_id"] == operation.player_id:
                member.update(operation.body)
    elif operation.kind == "update session":
        state.update(operation.body)
    return _derive(before, state)


def _member(player_id: str, team: str | None) -> State:
    return {"player_id": player_id, "team": team, "ready": False, "joined_at": None}


def _derive(before: State, state: State) -> State:
    """Set what follows from the members, the settings and the status."""
    present = members(state)
    state["player_count"] = len(present)
    state["free_slots"] = state["max_players"] - len(present)
    if state["host_player_id"] not in present:
        state["host_player_id"] = present[0] if present else None
    if before["status"] == "starting":
        if state["status"] == "starting" and len(present) < state["min_players"]:
            state["status"] = "waiting"
        if state["status"] == "waiting":
            for member in state["members"]:
                member["ready"] = False
    return state


def created(operation: Operation, session_id: str) -> State:
    """The session that a creation makes."""
    body = operation.body
    state: dict[str, Any] = {
        **{key: None for key in SESSION_FIELDS},
        "session_id": session_id,
        "status": "waiting",
        "visibility": "public",
        "min_players": 1,
        "join_in_progress": False,
        "attributes": {},
        "members": [],
    }
    host = operation.player_ids[0] if operation.player_ids else None
    state |= {key: value for key, value in body.items() if key != "host_player_id"}
    if host is not None:
        state["members"] = [_member(host, None)]
    return timeless(_derive(state, state))


def created_player(operation: Operation, player_id: str) -> State:
    """The player that a creation makes."""
    body = operation.body
    state = {
        "player_id": player_id,
        "display_name": body["username"],
        "region": None,
        "rating": 1000,
        "attributes": {},
    }
    return state | {key: value for key, value in body.items() if key != "player_id"}
