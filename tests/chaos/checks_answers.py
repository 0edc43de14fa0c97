"""The properties of answers: refusals, failures, and how long they take."""

from collections.abc import Iterator

from tests.chaos.checks_access import possibly_denied
from tests.chaos.facts import Facts, end_of
from tests.chaos.history import IN_PROGRESS, REUSED, Operation
from tests.chaos.model import refusals, seated
from tests.chaos.permissions import FORBIDDEN, HIDDEN, UNAUTHENTICATED, denial

LONGEST_ANSWER = 8.0
"""In seconds. The service promises 5; the rest is for a machine with too few processors."""
GRACE = 3.0
"""How many seconds after it was stopped a process may still be slow."""


def no_unexpected_answers(facts: Facts) -> Iterator[str]:
    """Nothing is answered with 500, or with a status that the operation does not have."""
    for operation in facts.sent:
        if operation.outcome == "unexpected":
            yield f"{operation}: {operation.answer}"
        elif operation.outcome == "done" and operation.etag is not None:
            if operation.answer.get("version", operation.etag) != operation.etag:
                yield f"the ETag is {operation.etag} in {operation}"
    yield from facts.history.errors


def answers_are_timely(facts: Facts) -> Iterator[str]:
    """A process that runs answers each request, and within its deadline."""
    for operation in facts.sent:
        stopped = any(
            process == operation.process
            and start < operation.over
            and operation.start < end + GRACE
            for process, start, end in facts.history.stops
        )
        if stopped:
            continue
        if operation.status is None:
            yield f"the connection broke, or nothing came: {operation}"
        elif operation.over - operation.start > LONGEST_ANSWER:
            yield f"the answer took {operation.over - operation.start:.1f} s: {operation}"


def refused_changes_are_not_made(facts: Facts) -> Iterator[str]:
    """What was answered with 4xx, or never sent, is nowhere to be seen."""
    written: dict[str, str] = {}
    for timeline in facts.sessions.values():
        for version, state in timeline.states.items():
            texts = [state["game_mode"], state["attributes"].get("writer")]
            texts += [member["team"] for member in state["members"]]
            written |= dict.fromkeys(filter(None, texts), f"{timeline.key} version {version}")
    for life in facts.lives():
        for version, state in life.states.items():
            texts = [state["region"], state["attributes"].get("writer")]
            written |= dict.fromkeys(filter(None, texts), f"{life.key} version {version}")
    for dump in facts.dumps():
        written |= {player["region"]: f"player {player['_id']}" for player in dump.players}
        written |= {
            session["game_mode"]: f"session {session['_id']}"
            for session in dump.sessions
            if "version" in session
        }
    for operation in facts.requests:
        if operation.outcome in ("refused", "unsent") and operation.marker in written:
            yield f"{operation}, and it was made: {written[operation.marker]}"


def refusals_are_true(facts: Facts) -> Iterator[str]:
    """A refusal names a reason that existed during the request."""
    for operation in facts.operations:
        if operation.outcome != "refused":
            continue
        reason = REASONS.get(operation.code, _refused_by_session)
        if not reason(facts, operation):
            yield f"there was no reason for the refusal: {operation} {operation.answer}"


def _refused_by_session(facts: Facts, operation: Operation) -> bool:
    timeline = facts.sessions.get(str(operation.session_id))
    if timeline is None:
        return False
    return timeline.possible(operation, lambda state: operation.code in refusals(operation, state))


def _session_is_missing(facts: Facts, operation: Operation) -> bool:
    timeline = facts.sessions.get(str(operation.session_id))
    if timeline is None or timeline.first_seen >= operation.start:
        return True
    return possibly_denied(facts, operation, HIDDEN)


def _player_is_missing(facts: Facts, operation: Operation) -> bool:
    player_id = operation.answer.get("player_id") or operation.player_id
    return player_id in operation.player_ids and not facts.certainly_exists(player_id, operation)


def _seated_elsewhere(facts: Facts, operation: Operation) -> bool:
    session_id = str(operation.answer.get("session_id"))
    player_id = operation.answer.get("player_id") or operation.player_id
    timeline = facts.sessions.get(session_id)
    if session_id == operation.session_id or player_id not in operation.player_ids:
        return False
    return timeline is None or timeline.possible(operation, lambda state: seated(state, player_id))


def _seated_nowhere(facts: Facts, operation: Operation) -> bool:
    seats = facts.seats.get(operation.player_id, ())
    return not any(interval.covers(operation) for _, interval in seats)


def _other_version(facts: Facts, operation: Operation) -> bool:
    current = operation.answer.get("current_version")
    if operation.if_match is None or current == operation.if_match:
        return False
    if operation.session_id is not None:
        timeline = facts.sessions.get(operation.session_id)
        return timeline is None or current in timeline.window(operation)
    lives = facts.players[operation.player_id].values()
    return not lives or any(current in life.window(operation) for life in lives)


def _player_exists(facts: Facts, operation: Operation) -> bool:
    """Whether another creation with this id can have been made and not been undone."""
    lives = facts.players[operation.player_id]
    for birth, life in lives.items():
        if birth != operation.marker and facts.born(life) < operation.end:
            if end_of(life, facts, operation.player_id) >= operation.start:
                return True
    return any(
        other.kind == "create player"
        and other.outcome == "unknown"
        and other.marker not in lives
        and other.start < operation.end
        for other in facts.by_player[operation.player_id]
    )


def _name_is_taken(facts: Facts, operation: Operation) -> bool:
    """Whether another request has asked for this name before, and may have got it."""
    name = str(operation.body.get("username")).lower()
    return any(
        other is not operation
        and other.kind in ("create player", "update player")
        and str(other.body.get("username")).lower() == name
        and other.outcome in ("done", "unknown")
        and other.start < operation.end
        for other in facts.operations
    )


REASONS = {
    UNAUTHENTICATED: lambda facts, operation: denial(operation) == UNAUTHENTICATED,
    FORBIDDEN: lambda facts, operation: possibly_denied(facts, operation, FORBIDDEN),
    REUSED: lambda facts, operation: True,  # This is a property of its own.
    IN_PROGRESS: lambda facts, operation: True,  # So is this.
    "session_not_found": _session_is_missing,
    "player_not_found": _player_is_missing,
    "already_in_session": _seated_elsewhere,
    "in_session": _seated_elsewhere,
    "not_in_session": _seated_nowhere,
    "version_mismatch": _other_version,
    "player_exists": _player_exists,
    "username_taken": _name_is_taken,
}
"""Whether a refusal with this code can be true; all other codes are rules of sessions."""
