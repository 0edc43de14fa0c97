"""The properties of sessions: their seats, their versions, and what their responses show."""

from collections.abc import Iterator

from tests.chaos.facts import Facts
from tests.chaos.history import SESSION_CHANGES, SESSION_CREATIONS, Operation, State
from tests.chaos.model import (
    LIVE,
    change,
    created,
    members,
    newcomers,
    refusals,
    seated,
    timeless,
)
from tests.chaos.timeline import Timeline, unmatched


def states(facts: Facts) -> Iterator[tuple[str, State]]:
    """Every state of a session that a response showed, with a description of it."""
    for session_id, timeline in facts.sessions.items():
        for version, state in sorted(timeline.states.items()):
            yield f"session {session_id} version {version}", state


def capacity(facts: Facts) -> Iterator[str]:
    """No session has more members than `max_players`."""
    for name, state in states(facts):
        if len(state["members"]) > state["max_players"]:
            yield f"{name} has {len(state['members'])} members of at most {state['max_players']}"


def no_duplicates(facts: Facts) -> Iterator[str]:
    """No player is twice in a session."""
    for name, state in states(facts):
        if len(set(members(state))) < len(members(state)):
            yield f"{name} has a member twice: {members(state)}"


def counts(facts: Facts) -> Iterator[str]:
    """`player_count + free_slots = max_players`, and the host is a member."""
    for name, state in states(facts):
        count, free = state["player_count"], state["free_slots"]
        if count != len(state["members"]) or count + free != state["max_players"]:
            yield f"{name}: {count} players, {free} free, {len(state['members'])} members"
        host = state["host_player_id"]
        if host not in members(state) and (host is not None or count):
            yield f"{name}: the host {host} is not a member"
        if state["status"] == "starting" and count < state["min_players"]:
            yield f"{name} is starting with {count} players of at least {state['min_players']}"


def one_seat(facts: Facts) -> Iterator[str]:
    """A player has a seat in at most one live session at any time."""
    for player_id, seats in facts.seats.items():
        ordered = sorted(seats, key=lambda seat: seat[1].start)
        for (first, early), (second, late) in zip(ordered, ordered[1:], strict=False):
            if first != second and late.start < early.end:
                yield (
                    f"{player_id} has seats in {first} and {second} from {late.start:.3f} "
                    f"to {min(early.end, late.end):.3f}"
                )
    for dump in facts.dumps():
        places: dict[str, str] = {}
        for session in dump.sessions:
            for member in session.get("members", []) if session.get("status") in LIVE else []:
                other = places.setdefault(member["player_id"], session["_id"])
                if other != session["_id"]:
                    yield f"{member['player_id']} has seats in {other} and {session['_id']}"


def one_state_per_version(facts: Facts) -> Iterator[str]:
    """All responses that show a version of a resource show the same state."""
    for timeline in facts.timelines():
        for observation, known in timeline.contradictions:
            shown = observation.state or {}
            differing = sorted(key for key in known if known[key] != shown.get(key))
            yield (
                f"{timeline.key} version {observation.version} has two states: "
                + ", ".join(f"{key} {known[key]!r} and {shown.get(key)!r}" for key in differing)
                + f" ({observation.operation})"
            )


def nothing_goes_back(facts: Facts) -> Iterator[str]:
    """A response never shows an older version than one that was complete before it."""
    for timeline in facts.timelines():
        for observation in timeline.observations:
            least = timeline.least(observation.operation.start)
            if observation.version < least:
                yield (
                    f"{timeline.key} is at version {observation.version} after version {least} "
                    f"was told ({observation.operation})"
                )


def certain_change(operation: Operation) -> bool:
    """Whether the answer says that the operation made the version that it tells."""
    if operation.outcome != "done":
        return False
    if operation.kind == "join":
        return operation.status == 201
    if operation.kind in ("update session", "update player"):
        return True  # Each of them writes its marker.
    if operation.kind == "update member":
        return "team" in operation.body
    return operation.kind in SESSION_CREATIONS | {"create player"}


def told_versions(timeline: Timeline) -> dict[int, list[Operation]]:
    """The requests that were told to have made each version."""
    told: dict[int, list[Operation]] = {}
    for observation in timeline.observations:
        if certain_change(observation.operation):
            told.setdefault(observation.version, []).append(observation.operation)
    return told


def shows(operation: Operation, after: State) -> bool:
    """Whether the state can be the one that the operation has just left."""
    present = members(after)
    if operation.kind == "leave":
        return operation.player_id not in present
    if operation.kind in ("join", "party"):
        team = operation.body.get("team")
        seats = {member["player_id"]: member["team"] for member in after["members"]}
        return all(p in seats for p in operation.player_ids) and (
            operation.kind == "party" or seats[operation.player_id] == team
        )
    if operation.kind == "update member":
        return any(
            member["player_id"] == operation.player_id and member.items() >= operation.body.items()
            for member in after["members"]
        )
    return after.items() >= operation.body.items()


def can_make(operation: Operation, timeline: Timeline, version: int) -> bool:
    """Whether the operation can have made this version of its session."""
    told = operation.answer.get("version") if operation.outcome == "done" else None
    if told is not None and told != version:
        return False
    if not timeline.least(operation.start) < version <= timeline.most(operation.until):
        return False
    before, after = timeline.states.get(version - 1), timeline.states.get(version)
    if operation.if_match not in (None, version - 1):
        return False
    if before is not None and refusals(operation, before):
        return False
    if before is not None and after is not None:
        return change(operation, before) == timeless(after) != timeless(before)
    return after is None or shows(operation, after)


def versions(facts: Facts) -> Iterator[str]:
    """Versions have no gaps: each was made by one change, and no two changes made the same."""
    for session_id, timeline in facts.sessions.items():
        told = told_versions(timeline)
        for version, operations in told.items():
            if len(operations) > 1:
                yield (
                    f"session {session_id}: version {version} was told to {len(operations)} "
                    f"changes: " + "; ".join(map(str, operations))
                )
        candidates = [
            operation
            for operation in facts.by_session[session_id]
            if operation.kind in SESSION_CHANGES
            and operation.outcome in ("done", "unknown")
            and not certain_change(operation)
        ]
        missing = [v for v in range(2, timeline.last + 1) if v not in told]
        for version in unmatched(
            missing, candidates, lambda v, operation: can_make(operation, timeline, v)
        ):
            yield describe_orphan(timeline, version)


def describe_orphan(timeline: Timeline, version: int) -> str:
    before, after = timeline.states.get(version - 1), timeline.states.get(version)
    if before is None or after is None:
        difference = "its state, or the one before, was never shown"
    else:
        keys = [key for key in before if before[key] != after[key] and key != "version"]
        difference = "; ".join(f"{key} {before[key]!r} -> {after[key]!r}" for key in keys)
    return f"session {timeline.key}: no request can have made version {version} ({difference})"


def one_change_per_version(facts: Facts) -> Iterator[str]:
    """Each version is exactly what its change makes of the version before it."""
    for session_id, timeline in facts.sessions.items():
        for version, operations in told_versions(timeline).items():
            before, after = timeline.states.get(version - 1), timeline.states[version]
            for operation in operations:
                if operation.kind in SESSION_CREATIONS:
                    expected = created(operation, session_id)
                    if version != 1 or expected != timeless(after):
                        yield f"{operation} is not what was asked for: {after}"
                    continue
                if operation.if_match not in (None, version - 1):
                    yield f"{operation} made version {version} from another than it demanded"
                if before is None:
                    if not shows(operation, after):
                        yield f"{operation} does not show its own change: {after}"
                elif codes := refusals(operation, before):
                    yield f"{operation} should have been refused: {sorted(codes)} in {before}"
                elif change(operation, before) != timeless(after):
                    yield f"{operation} made {after} of {before}"


def changes_are_visible(facts: Facts) -> Iterator[str]:
    """What was answered with 2xx can be seen, also if the answer tells no new version."""
    for operation in facts.operations:
        if operation.outcome != "done":
            continue
        if operation.kind == "leave":
            yield from _leave_mistakes(facts.sessions[str(operation.session_id)], operation)
        elif operation.kind in ("join", "party"):
            if newcomers(operation, operation.answer):
                yield f"not all players have seats after {operation}: {operation.answer}"
        elif operation.kind == "player session":
            if not seated(operation.answer, operation.player_id):
                yield f"the player has no seat in the answer of {operation}"


def _leave_mistakes(timeline: Timeline, operation: Operation) -> Iterator[str]:
    if not timeline.possible(operation, lambda state: not seated(state, operation.player_id)):
        yield f"the player still has the seat after {operation}"
    if operation.if_match is not None and operation.if_match not in timeline.window(operation):
        yield f"{operation} was made though the version was another one"


def times(facts: Facts) -> Iterator[str]:
    """The times of a resource are in order, whatever the clocks of the processes say."""
    for name, state in states(facts):
        first, last = state["created_at"], state["updated_at"]
        joined = [member["joined_at"] for member in state["members"]]
        middle = [state["started_at"] or first, state["ended_at"] or last]
        for order in ([first, *joined, last], [first, *middle, last]):
            if order != sorted(order):
                yield f"{name} has times out of order: {order}"
        if (state["ended_at"] is None) != (state["status"] in LIVE):
            yield f"{name} is {state['status']} and its ended_at is {state['ended_at']}"
    for timeline in facts.timelines():
        shown = [state for _, state in sorted(timeline.states.items())]
        for before, after in zip(shown, shown[1:], strict=False):
            if before["updated_at"] > after["updated_at"]:
                yield (
                    f"{timeline.key}: version {after['version']} is older than version "
                    f"{before['version']}"
                )
