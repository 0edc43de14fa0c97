"""The properties of players: their creation, changes and deletion, and their names."""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.checks_sessions import told_versions
from tests.chaos.facts import Facts, end_of
from tests.chaos.history import Operation, State
from tests.chaos.model import created_player, timeless
from tests.chaos.timeline import Interval, Timeline, unmatched


def deleted_players_stay_deleted(facts: Facts) -> Iterator[str]:
    """A player who was gone, or replaced by another one with the same id, does not come back."""
    for player_id, lives in facts.players.items():
        for life in lives.values():
            gone = end_of(life, facts, player_id)
            if gone < life.last_seen:
                back = max(
                    (o.operation for o in life.observations), key=lambda operation: operation.start
                )
                yield f"{life.key} was gone at {gone:.3f} and is back: {back}"


def deletions_delete(facts: Facts) -> Iterator[str]:
    """A player who was deleted, and not replaced, is gone after the answer to the deletion."""
    for operation in facts.operations:
        if operation.kind != "delete player" or operation.outcome != "done":
            continue
        player_id = operation.player_id
        lives = facts.players[player_id]
        ended = any(
            facts.born(life) < operation.end
            and life.last_seen <= operation.end
            and end_of(life, facts, player_id) >= operation.start
            for life in lives.values()
        )
        never_seen = any(
            other.kind == "create player"
            and other.outcome == "unknown"
            and other.marker not in lives
            and other.start < operation.end
            for other in facts.by_player[player_id]
        )
        if not ended and not never_seen:
            yield f"nobody is gone after {operation}"


def nobody_vanishes(facts: Facts) -> Iterator[str]:
    """A player disappears only by a deletion, and each deletion deletes one player."""
    for player_id, lives in facts.players.items():
        deletions = [
            operation
            for operation in facts.by_player[player_id]
            if operation.kind == "delete player" and operation.outcome in ("done", "unknown")
        ]
        ends = {life.key: end_of(life, facts, player_id) for life in lives.values()}
        births = {life.key: facts.born(life) for life in lives.values()}
        ended = [life for life in lives.values() if ends[life.key] < float("inf")]

        def deletes(life: Timeline, operation: Operation) -> bool:
            return operation.start < ends[life.key] and operation.until > births[life.key]

        for life in unmatched(ended, deletions, deletes):
            yield f"{life.key} has vanished at {ends[life.key]:.3f} and nobody deleted the player"


def nobody_with_a_seat_is_deleted(facts: Facts) -> Iterator[str]:
    """A player is not deleted while having a seat in a live session."""
    for operation in facts.operations:
        if operation.kind == "delete player" and operation.outcome == "done":
            for session_id, interval in facts.seats.get(operation.player_id, ()):
                if interval.covers(operation):
                    yield f"{operation}, and the player has a seat in {session_id} throughout"


def player_versions(facts: Facts) -> Iterator[str]:
    """The versions of a player have no gaps, and each is exactly one change."""
    for player_id, lives in facts.players.items():
        unknown = [
            operation
            for operation in facts.by_player[player_id]
            if operation.kind == "update player" and operation.outcome == "unknown"
        ]
        for life in lives.values():
            told = told_versions(life)
            for version, operations in told.items():
                yield from _told_version_mistakes(life, version, operations)
            missing = [v for v in range(2, life.last + 1) if v not in told]

            def can_make(version: int, operation: Operation) -> bool:
                after = life.states.get(version)
                return (
                    life.least(operation.start) < version
                    and operation.if_match in (None, version - 1)
                    and (after is None or after.items() >= operation.body.items())
                )

            for version in unmatched(missing, unknown, can_make):
                yield f"{life.key}: no request can have made version {version}"


def _told_version_mistakes(
    life: Timeline, version: int, operations: list[Operation]
) -> Iterator[str]:
    if len(operations) > 1:
        yield f"{life.key}: version {version} was told to {'; '.join(map(str, operations))}"
    before, after = life.states.get(version - 1), life.states[version]
    for operation in operations:
        if operation.if_match not in (None, version - 1):
            yield f"{operation} made version {version} from another than it demanded"
        if operation.kind == "create player":
            expected = created_player(operation, after["player_id"])
            if version != 1 or timeless(after) != expected:
                yield f"{operation} is not what was asked for: {after}"
        elif before is not None and timeless(after) != timeless(before) | operation.body:
            yield f"{operation} made {after} of {before}"
        elif not after.items() >= operation.body.items():
            yield f"{operation} does not show its own change: {after}"


def player_times(facts: Facts) -> Iterator[str]:
    """A player is never changed before it is created."""
    for life in facts.lives():
        for version, state in life.states.items():
            if state["created_at"] > state["updated_at"]:
                yield f"{life.key} version {version} has times out of order: {state}"


def names_are_unique(facts: Facts) -> Iterator[str]:
    """No two players have the same username at the same time, whatever its case."""
    holders: dict[str, list[tuple[Interval, str]]] = defaultdict(list)
    for life in facts.lives():
        for name in {state["username"].lower() for state in life.states.values()}:

            def has_name(state: State) -> bool:
                return bool(state["username"].lower() == name)

            holders[name] += [(interval, life.key) for interval in life.certain(has_name)]
    for name, intervals in holders.items():
        ordered = sorted(intervals, key=lambda holder: holder[0].start)
        for (early, first), (late, second) in zip(ordered, ordered[1:], strict=False):
            if first != second and late.start < early.end:
                yield f"{first} and {second} both have the name {name} at {late.start:.3f}"
    for dump in facts.dumps():
        names: dict[str, str] = {}
        for player in dump.players:
            other = names.setdefault(player["username"].lower(), player["_id"])
            if other != player["_id"]:
                yield f"{other} and {player['_id']} both have the name {player['username']}"
