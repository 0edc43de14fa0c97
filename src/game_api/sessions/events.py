"""What happened to a session: each version consists of one or more events."""

from dataclasses import dataclass
from typing import Literal

from game_api.access.caller import SYSTEM, Caller

Kind = Literal[
    "joined", "left", "host_changed", "member_changed", "status_changed", "settings_changed"
]


@dataclass(frozen=True)
class Event:
    """One thing that happened in a version of a session."""

    kind: Kind
    player_ids: tuple[str, ...] = ()
    """The players who joined or left, or whose readiness or team changed."""
    fields: tuple[str, ...] = ()
    """The names of the changed fields, for `member_changed` and `settings_changed`."""
    old: str | None = None
    """The previous status, or the previous host."""
    new: str | None = None
    """The new status, or the new host."""
    team: str | None = None
    """The team of the players who joined."""
    by: Caller = SYSTEM
    """Whose request it was."""
