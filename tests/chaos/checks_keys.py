"""The properties of requests with an `Idempotency-Key`."""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.facts import Facts
from tests.chaos.history import IN_PROGRESS, PLAYER_CREATIONS, REUSED, SESSION_CREATIONS, Operation
from tests.chaos.keys import first_kept, repetitions

LEASE = 30.0
"""For how many seconds an attempt keeps others from taking the request over."""
SKEW = 4.0
"""How far the clocks of the processes can be apart, in seconds, and a little more."""
SLOWNESS = 8.0
"""How many seconds after a request was sent its process may begin to work on it."""


def a_key_creates_once(facts: Facts) -> Iterator[str]:
    """All requests with one key, whatever their bodies, create one resource at most."""
    made = _created_resources(facts)
    keys: dict[str, dict[str, str]] = defaultdict(dict)
    for operation in facts.operations:
        if operation.kind in PLAYER_CREATIONS | SESSION_CREATIONS:
            name = operation.key or operation.marker
            for resource in made[operation.marker]:
                keys[name][f"{resource} [{operation.marker}]"] = str(operation)
    for key, resources in keys.items():
        if len(resources) > 1:
            yield f"{key} created {sorted(resources)}: {'; '.join(set(resources.values()))}"


def _created_resources(facts: Facts) -> dict[str, set[str]]:
    """What each request, named by its marker, has created."""
    made: dict[str, set[str]] = defaultdict(set)
    for session_id, timeline in facts.sessions.items():
        for state in timeline.states.values():
            made[str(state["game_mode"])].add(session_id)
    for player_id, lives in facts.players.items():
        for marker in lives:
            made[marker].add(player_id)
    for operation in facts.sent:
        if operation.status == 201 and operation.kind in PLAYER_CREATIONS | SESSION_CREATIONS:
            shown = operation.answer
            made[operation.marker].add(shown.get("session_id") or shown["player_id"])
    for dump in facts.dumps():
        for session in dump.sessions:
            if "version" in session:
                made[session["game_mode"]].add(session["_id"])
        for player in dump.players:
            made[player["region"]].add(player["_id"])
    return made


def answers_of_a_key_are_equal(facts: Facts) -> Iterator[str]:
    """Every final answer to the same request has the same bytes, `Location` and `ETag`."""
    for group in repetitions(facts.sent).values():
        answers: dict[tuple[object, ...], Operation] = {}
        for operation in group:
            if operation.kept:
                shown = (operation.status, operation.text, operation.location, operation.etag)
                answers.setdefault(shown, operation)
        if len(answers) > 1:
            yield "; ".join(f"{operation}: {shown}" for shown, operation in answers.items())


def answered_requests_are_not_executed_again(facts: Facts) -> Iterator[str]:
    """After a final answer, every answer says that it is a repetition, or that the key is used."""
    first: dict[str, Operation] = {}
    for group in repetitions(facts.sent).values():
        kept = first_kept(group)
        if kept is not None:
            first[str(kept.key)] = min(kept, first.get(str(kept.key), kept), key=lambda o: o.end)
    for operation in facts.sent:
        kept = first.get(str(operation.key))
        if kept is None or operation.start < kept.end or operation.status in (None, 503):
            continue
        same = operation.marker == kept.marker
        if not (operation.replayed if same else operation.code == REUSED):
            yield f"{operation} was not recognised after {kept}"


def keys_are_reused(facts: Facts) -> Iterator[str]:
    """`idempotency_key_reused` is true: another request has the same key."""
    markers: dict[str, set[str]] = defaultdict(set)
    for operation in sorted(facts.sent, key=lambda o: o.start):
        markers[str(operation.key)].add(operation.marker)
    for operation in facts.sent:
        if operation.code == REUSED and len(markers[str(operation.key)]) < 2:
            yield f"there is no other request with the key of {operation}"


def what_a_key_names_exists(facts: Facts) -> Iterator[str]:
    """What was answered with 201 is there at the end, unless somebody deleted it."""
    if facts.history.at_end is None:
        return
    sessions = {s["_id"] for s in facts.history.at_end.sessions if "version" in s}
    births = {player["region"] for player in facts.history.at_end.players}
    for operation in facts.operations:
        if operation.status != 201:
            continue
        if operation.kind in SESSION_CREATIONS and operation.answer["session_id"] not in sessions:
            yield f"the session does not exist at the end: {operation}"
        if operation.kind in PLAYER_CREATIONS and operation.marker not in births:
            if not _may_be_deleted(facts, operation):
                yield f"the player does not exist at the end: {operation}"


def _may_be_deleted(facts: Facts, creation: Operation) -> bool:
    return any(
        operation.kind == "delete player"
        and operation.outcome in ("done", "unknown")
        and operation.until > creation.start
        for operation in facts.by_player[creation.answer["player_id"]]
    )


def nothing_stays_in_progress(facts: Facts) -> Iterator[str]:
    """`request_in_progress` is true, and lasts no longer than the lease of another request."""
    attempts: dict[str, list[Operation]] = defaultdict(list)
    for operation in facts.sent:
        if operation.key is not None and operation.code not in (IN_PROGRESS, REUSED):
            attempts[operation.key].append(operation)
    for operation in facts.sent:
        if operation.code == IN_PROGRESS and not any(
            attempt.start < operation.end
            and operation.start <= attempt.start + SLOWNESS + LEASE + SKEW
            for attempt in attempts[str(operation.key)]
        ):
            yield f"no other request can be in progress: {operation}"


def keys_are_settled(facts: Facts) -> Iterator[str]:
    """A request that is repeated for as long as a lease lasts is answered in the end."""
    if not facts.history.settled:
        return
    for group in repetitions(facts.sent).values():
        if all(o.outcome == "unknown" or o.code == IN_PROGRESS for o in group):
            last = max(group, key=lambda o: o.start)
            yield f"there is no answer at the end, after {len(group)} requests: {last}"


def no_lease_is_leaked(facts: Facts) -> Iterator[str]:
    """No request without an answer is locked for longer than a lease lasts."""
    longest = SKEW if facts.history.settled else LEASE + SKEW
    for dump in facts.dumps():
        for remaining in dump.leases:
            if remaining > longest:
                yield f"a request without an answer is locked for {remaining:.1f} s"
