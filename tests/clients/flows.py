"""What every flow must print: one line for each refusal that its client has met.

    refusal <TAB> name <TAB> status <TAB> code

The code comes from the type that the generator has made of the schema `Problem`.
"""

from tests.clients.stub import NEW_REFUSALS

Refusals = dict[str, tuple[int, str]]

NAMES_BY_STATUS = {
    401: ("unauthenticated",),
    404: ("not_found", "player_not_found", "session_not_found", "not_in_session", "not_a_member"),
    409: (
        *("username_taken", "player_exists", "already_in_session", "session_full"),
        *("session_not_joinable", "not_a_member as host", "in_session", "illegal_transition"),
        *("not_enough_players", "too_many_members", "session_over"),
    ),
    412: ("version_mismatch",),
    413: ("body_too_large",),
    415: ("unsupported_media_type",),
    422: ("validation_error",),
}

REFUSALS: Refusals = {
    name: (status, name.partition(" ")[0])
    for status, names in NAMES_BY_STATUS.items()
    for name in names
}
"""The status and code of each refusal that a flow provokes, by its name."""

LATER_REFUSALS: Refusals = {
    name: NEW_REFUSALS.get(code, (status, code)) for name, (status, code) in REFUSALS.items()
}
"""The same from the later version of the service."""


def mistakes(output: str, expected: Refusals) -> list[str]:
    """What is wrong with the refusals that a flow has printed."""
    lines = [line.split("\t")[1:] for line in output.splitlines() if line.startswith("refusal\t")]
    met = {name: (int(status), code) for name, status, code in lines}
    return [
        f"{name}: expected {expected.get(name)}, but the client got {met.get(name)}"
        for name in sorted(expected.keys() | met.keys())
        if met.get(name) != expected.get(name)
    ]
