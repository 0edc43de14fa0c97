"""What a session is and every rule about it: pure, no clock, no I/O.

A rule is a method of `Session` that changes it and counts one version, or raises an ApiError, or
leaves it as it is because what was asked for holds already.

    waiting -> starting -> active -> ended        starting -> waiting
    waiting | starting | active -> cancelled      waiting | starting | active -> expired (system)
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from odmantic import Field, Index, Model
from odmantic.query import desc
from pydantic import BaseModel, ConfigDict, StringConstraints, with_config
from pydantic import Field as Described
from typing_extensions import TypedDict

from game_api.attributes import Attributes, same
from game_api.errors import (
    IllegalTransition,
    MemberNotFound,
    NotAMember,
    NotEnoughPlayers,
    SessionFull,
    SessionNotJoinable,
    SessionOver,
    TooManyMembers,
    ValidationFailed,
)
from game_api.ids import new_token
from game_api.integers import Whole
from game_api.players.model import PlayerId, Region

Status = Literal["waiting", "starting", "active", "ended", "cancelled", "expired"]
Visibility = Literal["public", "private"]

TRANSITIONS: dict[str, tuple[Status, ...]] = {
    "waiting": ("starting", "cancelled"),
    "starting": ("waiting", "active", "cancelled"),
    "active": ("ended", "cancelled"),
    "ended": (),
    "cancelled": (),
    "expired": (),
}
"""Where a client may take a session from each status."""

LIVE = frozenset({"waiting", "starting", "active"})
"""The statuses in which a seat counts."""

SessionId = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_-]{1,64}$"),
    Described(examples=["01a2055f-6d3b-7c41-9d4e-0c8d53b7a7f1"]),
]
SessionName = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=64),
    Described(examples=["Friday duel"]),
]
GameMode = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$"),
    Described(examples=["duel"]),
]
Seats = Annotated[int, Described(strict=True, ge=1, le=256, examples=[2]), Whole]
Team = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=32),
    Described(examples=["red"]),
]


class Server(BaseModel):
    """Where the game server of the session listens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Described(
        strict=True,
        pattern=r"^[A-Za-z0-9.:_-]{1,253}$",
        description="A host name or an IP address.",
        examples=["198.51.100.7"],
    )
    port: Annotated[int, Described(strict=True, ge=1, le=65535, examples=[7777]), Whole]


class Member(BaseModel):
    """A player on a seat."""

    model_config = ConfigDict(frozen=True)

    player_id: str
    team: str | None = None
    ready: bool = False
    joined_at: datetime
    claim: str | None = None
    """The player's claim token under which the seat was taken."""


@with_config(extra="forbid")
class SessionChanges(TypedDict, total=False):
    """The fields to change; absent ones stay as they are."""

    status: Status
    name: SessionName
    max_players: Seats
    min_players: Seats
    region: Region | None
    visibility: Visibility
    join_in_progress: Annotated[bool, Described(strict=True)]
    host_player_id: PlayerId
    server: Server | None
    attributes: Attributes


@with_config(extra="forbid")
class MemberChanges(TypedDict, total=False):
    """The fields to change; absent ones stay as they are."""

    ready: Annotated[bool, Described(strict=True)]
    team: Team


class Session(Model):
    """A game session: its settings, its status, and its members in the order they came."""

    model_config = {
        "collection": "sessions",
        "indexes": lambda: [
            Index(Session.visibility, desc(Session.id), name="newest"),
            Index(
                Session.visibility,
                Session.status,
                Session.game_mode,
                desc(Session.id),
                name="by_status_and_mode",
            ),
            Index(Session.host_player_id, desc(Session.id), name="by_host"),
            Index(Session.status, name="by_status"),
        ],
    }

    id: str = Field(primary_field=True)
    birth: str = Field(default_factory=new_token)
    """Tells this document from any other that ever has the same id."""
    name: str
    game_mode: str
    region: str | None = None
    status: Status = "waiting"
    visibility: Visibility = "public"
    max_players: int
    min_players: int = 1
    free_slots: int
    join_in_progress: bool = False
    host_player_id: str | None = None
    members: tuple[Member, ...] = ()
    server: Server | None = None
    attributes: dict[str, bool | int | float | str]
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    version: int = 1

    revision: int = 1
    """Counts every write of the document, also those that no client sees: the write guard."""
    writes: tuple[str, ...] = ()
    """The tokens of the last writes, so that a write whose answer was lost can be found again."""

    @property
    def live(self) -> bool:
        return self.status in LIVE

    def member(self, player_id: str) -> Member | None:
        return next((m for m in self.members if m.player_id == player_id), None)

    def join(self, player_ids: Sequence[str], team: str | None, now: datetime) -> bool:
        """Seat all of these players or none; False when all of them sit here already."""
        newcomers = [p for p in player_ids if self.member(p) is None]
        if newcomers or not self.live:
            if not (self.status == "waiting" or self.status == "active" and self.join_in_progress):
                raise SessionNotJoinable(self.status)
            if len(newcomers) > self.free_slots:
                raise SessionFull()
        if not newcomers:
            return False
        self.members += tuple(Member(player_id=p, team=team, joined_at=now) for p in newcomers)
        self._changed(now)
        return True

    def leave(self, player_id: str, now: datetime) -> None:
        """Free the player's seat; nothing happens when there is none, or the session has ended."""
        if self.live and self.member(player_id):
            self.members = tuple(m for m in self.members if m.player_id != player_id)
            self._changed(now)

    def change_member(self, player_id: str, changes: MemberChanges, now: datetime) -> None:
        """Change what a member says of itself."""
        member = self.member(player_id)
        if member is None:
            raise MemberNotFound()
        if not self.live:
            raise SessionOver(self.status)
        changed = member.model_copy(update=dict(changes))
        if changed != member:
            self.members = tuple(changed if m is member else m for m in self.members)
            self._changed(now)

    def change(self, changes: SessionChanges, now: datetime) -> None:
        """Change settings and status, all of it or nothing."""
        effective: dict[str, Any] = {
            key: new for key, new in changes.items() if not same(getattr(self, key), new)
        }
        if not effective:
            return
        if not self.live:
            raise SessionOver(self.status)
        max_players = effective.get("max_players", self.max_players)
        min_players = effective.get("min_players", self.min_players)
        check_seats(min_players, max_players)
        if len(self.members) > max_players:
            raise TooManyMembers(len(self.members))
        if "host_player_id" in effective and self.member(effective["host_player_id"]) is None:
            raise NotAMember()
        if "status" in effective:
            self._check_transition(effective["status"], min_players)
        for key, new in effective.items():
            setattr(self, key, new)
        if self.status == "active" and self.started_at is None:
            self.started_at = now
        if not self.live:
            self.ended_at = now
        self._changed(now)

    def _check_transition(self, target: Status, min_players: int) -> None:
        if target not in TRANSITIONS[self.status]:
            raise IllegalTransition(self.status, target, TRANSITIONS[self.status])
        if target == "starting" and len(self.members) < min_players:
            raise NotEnoughPlayers(len(self.members), min_players)

    def _changed(self, now: datetime) -> None:
        """Keep what follows from the members, and count one version."""
        if self.host_player_id is None or self.member(self.host_player_id) is None:
            self.host_player_id = self.members[0].player_id if self.members else None
        self.free_slots = self.max_players - len(self.members)
        self.updated_at = max(now, self.updated_at)
        self.version += 1


def check_seats(min_players: int, max_players: int) -> None:
    """Raises ValidationFailed when `min_players` is above `max_players`."""
    if min_players > max_players:
        raise ValidationFailed.at(
            "body", "min_players", msg=f"min_players is at most max_players ({max_players})"
        )
