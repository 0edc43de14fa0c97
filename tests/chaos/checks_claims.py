"""The properties of claims, and of what is left when the faults are over."""

from collections import defaultdict
from collections.abc import Iterator

from tests.chaos.facts import Facts
from tests.chaos.history import Document, Dump, Operation
from tests.chaos.model import LIVE

MAX_ATTEMPTS = 2


def seated_players_are_claimed(facts: Facts) -> Iterator[str]:
    """A player who has a seat in a live session exists and is claimed by that session."""
    for dump in facts.dumps():
        players = {player["_id"]: player for player in dump.players}
        for session, member in _seats(dump):
            player = players.get(member["player_id"])
            if player is None:
                yield f"{member['player_id']} has a seat in {session['_id']} and does not exist"
            elif player["session_id"] != session["_id"]:
                yield (
                    f"{player['_id']} has a seat in {session['_id']} and is claimed by "
                    f"{player['session_id']}"
                )


def nothing_is_left_behind(facts: Facts) -> Iterator[str]:
    """Without lost commands and dead processes there is no claim without a seat, no tombstone."""
    if not facts.history.lossless:
        return
    for dump in facts.dumps():
        seats = {member["player_id"]: (s["_id"], member["claim"]) for s, member in _seats(dump)}
        for session in dump.sessions:
            if "version" not in session:
                yield f"there is a tombstone: {session}"
        for player in dump.players:
            claim = (player["session_id"], player["claim"])
            if player["session_id"] is None or seats.get(player["_id"]) == claim:
                continue
            if player["_id"] not in seats:
                yield f"{player['_id']} is claimed by {player['session_id']} without a seat"
            else:
                yield f"the tokens of {player['_id']} differ: {seats[player['_id']]} and {claim}"


def everybody_gets_a_seat(facts: Facts) -> Iterator[str]:
    """After the faults every player, and a whole party, gets a seat within one retry."""
    attempts: dict[tuple[str, ...], list[Operation]] = defaultdict(list)
    for operation in facts.history.operations:
        if operation.phase == "healing" and operation.kind in ("join", "party"):
            attempts[operation.kind, *operation.player_ids].append(operation)
    for tries in attempts.values():
        first = sorted(tries, key=lambda operation: operation.start)[:MAX_ATTEMPTS]
        if not any(operation.outcome == "done" for operation in first):
            yield f"no seat after {len(first)} tries: " + "; ".join(map(str, first))


def _seats(dump: Dump) -> Iterator[tuple[Document, Document]]:
    """The live sessions with each of their members."""
    for session in dump.sessions:
        if "version" in session and session["status"] in LIVE:
            for member in session["members"]:
                yield session, member
