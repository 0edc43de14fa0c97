"""The properties of tokens and permissions: who gets which answer."""

from collections.abc import Iterator

from tests.chaos.facts import LISTS, Facts
from tests.chaos.history import REUSED, Operation
from tests.chaos.permissions import HIDDEN, denial

DENIALS = {"unauthenticated", "forbidden", HIDDEN, REUSED}


def answers_are_permitted(facts: Facts) -> Iterator[str]:
    """Nobody gets another answer than a denial to what the table of permissions does not allow."""
    for operation in facts.operations:
        if operation.outcome not in ("done", "refused") or operation.code in DENIALS:
            continue
        if not possibly_denied(facts, operation, None):
            denied = denial(operation) or "not permitted in any state of the session"
            yield f"{denied}, and not refused: {operation} {operation.body}"


def private_sessions_are_not_listed(facts: Facts) -> Iterator[str]:
    """No list of sessions shows a private session."""
    for operation in facts.operations:
        for state in facts.shown(operation):
            if operation.kind in LISTS and state.get("visibility") == "private":
                yield f"{state['session_id']} is private, and listed by {operation}"


def secrets_are_not_logged(facts: Facts) -> Iterator[str]:
    """No line of any log contains a token, the secret or an `Idempotency-Key`."""
    yield from facts.history.leaks


def possibly_denied(facts: Facts, operation: Operation, code: str | None) -> bool:
    """Whether the caller can have been denied with this code; None is whether without denial."""
    timeline = facts.sessions.get(str(operation.session_id))
    if timeline is None:
        return denial(operation) == code or operation.session_id is not None
    return timeline.possible(operation, lambda state: denial(operation, state) == code)
