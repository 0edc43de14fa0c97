"""The permissions: which role may perform which operation, and on what.

`PERMISSIONS` is the only place where this is decided. Each operation of the API has a row; a route
without one fails when it is declared. A row has a condition for each role:

- `NO` refuses the role before the request is read any further.
- `YES` permits the operation on everything.
- Any other condition depends on what the request is about. The endpoint asks `Grant.check`, after
  the form of the request was checked, and for sessions within the rule that changes the session, so
  that nobody can lose a permission between the check and the change.

Outsiders do not learn that a private session exists: `Grant.sees`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from game_api.access.caller import ROLES, Caller, Role
from game_api.access.errors import Forbidden


class Room(Protocol):
    """A session, as far as permissions depend on it."""

    @property
    def visibility(self) -> str: ...

    @property
    def host_player_id(self) -> str | None: ...

    def member(self, player_id: str) -> object | None: ...


@dataclass(frozen=True)
class Target:
    """What a request is about: the players that it acts for, the session, and the fields named."""

    players: Collection[str] = ()
    session: Room | None = None
    fields: Collection[str] = ()

    def only(self, player_id: str) -> bool:
        """Whether the request acts for this player and nobody else."""
        return all(player == player_id for player in self.players)

    def hosted_by(self, player_id: str) -> bool:
        return self.session is not None and self.session.host_player_id == player_id


@dataclass(frozen=True, eq=False)
class Condition:
    """When a role may perform an operation; `text` says it for people.

    `holds` gets the subject of the caller and the target. A condition that `acts` compares the
    subject with players, so the subject has to be the id of a player.
    """

    text: str
    holds: Callable[[str, Target], bool]
    acts: bool = True


NO = Condition("no", lambda subject, target: False, acts=False)
YES = Condition("yes", lambda subject, target: True, acts=False)
SELF = Condition("self", lambda subject, target: target.only(subject))
OWN_ID = Condition("own id only (absent: the subject)", SELF.holds)
OWN_HOST = Condition("as host only (absent: the subject)", SELF.holds)
OWN_PARTY = Condition("with nobody but the caller", SELF.holds)
FILTERED = Condition(
    "with a filter", lambda subject, target: "username" in target.fields, acts=False
)
HOST = Condition("its host", lambda subject, target: target.hosted_by(subject))
SELF_OR_HOST = Condition(
    "self; its host", lambda subject, target: target.only(subject) or target.hosted_by(subject)
)
SELF_OR_HOST_FOR_TEAM = Condition(
    "self; its host: `team` alone",
    lambda subject, target: target.only(subject)
    or (target.hosted_by(subject) and set(target.fields) <= {"team"}),
)


@dataclass(frozen=True, eq=False)
class Permission:
    """The condition of each role for one operation."""

    player: Condition
    server: Condition
    admin: Condition

    def conditions(self, roles: Collection[Role]) -> tuple[Condition, ...]:
        """The conditions of which one must hold; none if the operation is permitted anyway.

        Raises Forbidden if no role may ever perform the operation.
        """
        conditions = {getattr(self, role) for role in ROLES if role in roles} - {NO}
        if not conditions:
            raise Forbidden()
        return () if YES in conditions else tuple(conditions)


OPEN = Permission(YES, YES, YES)
"""An operation that needs no token."""

PERMISSIONS = {
    "createPlayer": Permission(player=OWN_ID, server=NO, admin=YES),
    "listPlayers": Permission(player=FILTERED, server=YES, admin=YES),
    "getPlayer": Permission(player=YES, server=YES, admin=YES),
    "updatePlayer": Permission(player=SELF, server=NO, admin=YES),
    "deletePlayer": Permission(player=SELF, server=NO, admin=YES),
    "getPlayerSession": Permission(player=SELF, server=YES, admin=YES),
    "createSession": Permission(player=OWN_HOST, server=YES, admin=YES),
    "listSessions": Permission(player=YES, server=YES, admin=YES),
    "getSession": Permission(player=YES, server=YES, admin=YES),
    "updateSession": Permission(player=HOST, server=YES, admin=YES),
    "joinSession": Permission(player=SELF, server=YES, admin=YES),
    "joinSessionAsParty": Permission(player=OWN_PARTY, server=YES, admin=YES),
    "updateMember": Permission(player=SELF_OR_HOST_FOR_TEAM, server=YES, admin=YES),
    "leaveSession": Permission(player=SELF_OR_HOST, server=YES, admin=YES),
    "getHealth": OPEN,
    "getReadiness": OPEN,
    "getDetailedHealth": OPEN,
}
"""The permissions of each operation, by its `operationId`."""

SEES_PRIVATE: frozenset[Role] = frozenset({"server", "admin"})
"""The roles that see private sessions; a player sees those of which the player is a member."""


class NoPermission(Exception):
    """A route is declared for an operation that has no row in the table of permissions."""


def permission_for(operation: str | None) -> Permission:
    """The row of an operation. Raises NoPermission."""
    if operation not in PERMISSIONS:
        raise NoPermission(f"the operation {operation} has no row in access.policy.PERMISSIONS")
    return PERMISSIONS[operation]


@dataclass(frozen=True, slots=True)
class Grant:
    """What a caller may do with one operation: anything, or what meets one of the conditions."""

    caller: Caller
    conditions: tuple[Condition, ...] = ()

    @property
    def own(self) -> str | None:
        """The player that an absent id stands for; None if the caller may act for anybody."""
        return self.caller.subject if self.conditions else None

    def check(
        self, *players: str, session: Room | None = None, fields: Collection[str] = ()
    ) -> None:
        """Raises Forbidden if the caller may not do this for these players in this session."""
        if self.conditions:
            subject, target = self.caller.subject or "", Target(players, session, fields)
            if not any(condition.holds(subject, target) for condition in self.conditions):
                raise Forbidden()

    def sees(self, session: Room) -> bool:
        """Whether the caller may know that the session exists."""
        return (
            session.visibility == "public"
            or not SEES_PRIVATE.isdisjoint(self.caller.roles)
            or session.member(self.caller.subject or "") is not None
        )


def grant(permission: Permission, caller: Caller) -> Grant:
    """What the caller may do. Raises Forbidden if that is nothing.

    A player whose subject can't be the id of a player may do nothing that acts for a player.
    """
    if not caller.roles:
        raise Forbidden("The token has none of the roles player, server and admin.")
    conditions = _conditions(permission, caller.roles)
    if conditions and caller.player_id is None:
        conditions = tuple(condition for condition in conditions if not condition.acts)
        if not conditions:
            raise Forbidden("The subject of the token is not the id of a player.")
    return Grant(caller, conditions)


_conditions = cache(Permission.conditions)


def table() -> str:
    """The permissions as a table in Markdown."""
    rows = [
        f"| `{operation}` | {row.player.text} | {row.server.text} | {row.admin.text} |"
        for operation, row in PERMISSIONS.items()
        if row is not OPEN
    ]
    return "\n".join(["| operation | player | server | admin |", "|---|---|---|---|", *rows])
