"""The checker: the properties that every history of the service must have.

Each property is a pure function over the facts of a history. It yields one text for each violation.
"""

from collections.abc import Callable, Iterator

from tests.chaos import (
    checks_access,
    checks_answers,
    checks_claims,
    checks_keys,
    checks_players,
    checks_sessions,
)
from tests.chaos.facts import Facts
from tests.chaos.history import History, Violation

Property = Callable[[Facts], Iterator[str]]

PROPERTIES: dict[str, Property] = {
    "no session is above max_players": checks_sessions.capacity,
    "no player is twice in a session": checks_sessions.no_duplicates,
    "player_count + free_slots = max_players": checks_sessions.counts,
    "a player has one seat": checks_sessions.one_seat,
    "a version has one state": checks_sessions.one_state_per_version,
    "nothing goes back": checks_sessions.nothing_goes_back,
    "versions have no gaps": checks_sessions.versions,
    "a version is one change": checks_sessions.one_change_per_version,
    "changes are visible": checks_sessions.changes_are_visible,
    "times are in order": checks_sessions.times,
    "deleted players stay deleted": checks_players.deleted_players_stay_deleted,
    "deletions delete": checks_players.deletions_delete,
    "no player vanishes": checks_players.nobody_vanishes,
    "nobody with a seat is deleted": checks_players.nobody_with_a_seat_is_deleted,
    "a version of a player is one change": checks_players.player_versions,
    "times of players are in order": checks_players.player_times,
    "names are unique": checks_players.names_are_unique,
    "answers are expected": checks_answers.no_unexpected_answers,
    "answers are timely": checks_answers.answers_are_timely,
    "refused changes are not made": checks_answers.refused_changes_are_not_made,
    "refusals are true": checks_answers.refusals_are_true,
    "seated players are claimed": checks_claims.seated_players_are_claimed,
    "nothing is left behind": checks_claims.nothing_is_left_behind,
    "everybody gets a seat": checks_claims.everybody_gets_a_seat,
    "answers are permitted": checks_access.answers_are_permitted,
    "private sessions are not listed": checks_access.private_sessions_are_not_listed,
    "secrets are not logged": checks_access.secrets_are_not_logged,
    "a key creates once": checks_keys.a_key_creates_once,
    "answers of a key are equal": checks_keys.answers_of_a_key_are_equal,
    "answered requests are not executed again": (
        checks_keys.answered_requests_are_not_executed_again
    ),
    "keys are reused where it is said": checks_keys.keys_are_reused,
    "what a key names exists": checks_keys.what_a_key_names_exists,
    "nothing stays in progress": checks_keys.nothing_stays_in_progress,
    "keys are settled": checks_keys.keys_are_settled,
    "no lease is leaked": checks_keys.no_lease_is_leaked,
}


def check(history: History) -> list[Violation]:
    """Every violation of every property."""
    facts = Facts(history)
    return [
        Violation(name, text) for name, property_ in PROPERTIES.items() for text in property_(facts)
    ]
