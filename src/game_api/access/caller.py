"""Who makes a request."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from game_api.values import ID_PATTERN

Role = Literal["player", "server", "admin"]
ROLES: tuple[Role, ...] = ("admin", "server", "player")
"""The roles, from the one with the most permissions to the one with the fewest."""

_ID = re.compile(ID_PATTERN)


@dataclass(frozen=True)
class Caller:
    """The principal that a token names, with its roles.

    `subject` is None where nobody is authenticated. For a player, it is the player's id.
    """

    subject: str | None
    roles: frozenset[Role]

    @property
    def role(self) -> Role | Literal["none", "system"]:
        """The role with the most permissions; `none` without one, `system` for the service."""
        for role in ROLES:
            if role in self.roles:
                return role
        return "system" if self.subject is None else "none"

    @cached_property
    def player_id(self) -> str | None:
        """The player as whom the caller acts; None if the subject can't be the id of a player."""
        return self.subject if self.subject is not None and _ID.fullmatch(self.subject) else None


ANYBODY = Caller(None, frozenset({"admin"}))
"""Whoever makes a request while authentication is off."""
SYSTEM = Caller(None, frozenset())
"""The service itself."""
