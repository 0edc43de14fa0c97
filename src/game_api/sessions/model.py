"""The model of a session and every rule about it: pure, without clock or I/O.

A rule is a method of `Session`. It changes the session and returns the events of the one version
that it makes, or raises an error, or returns no events because the session already is as requested.
`by` is whose request it is; whether the caller may make it is decided before (`access.policy`).

    waiting -> starting -> active -> ended        starting -> waiting
    waiting | starting | active -> cancelled      waiting | starting | active -> expired (system)
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import odmantic
from odmantic.query import desc
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints, with_config
from typing_extensions import TypeAliasType, TypedDict

from game_api.access.caller import Caller
from game_api.access.creation import Creation
from game_api.errors import InvalidField
from game_api.ids import new_token
from game_api.players.model import PlayerId, Region
from game_api.sessions.errors import (
    IllegalTransition,
    MemberNotFound,
    NotAMember,
    NotEnoughPlayers,
    SessionFull,
    SessionNotJoinable,
    SessionOver,
    TooManyMembers,
)
from game_api.sessions.events import Event
from game_api.values import (
    ID_PATTERN,
    INCARNATION,
    LIVE,
    VISIBLE_TEXT,
    Attributes,
    VisibleText,
    WholeNumber,
    unchanged,
)

Events = tuple[Event, ...]
"""The events of one version; none if nothing changed."""

SessionStatus = TypeAliasType(
    "SessionStatus",
    Annotated[
        Literal["waiting", "starting", "active", "ended", "cancelled", "expired"],
        Field(description="The first three are live; the last three are final."),
    ],
)
Visibility = TypeAliasType(
    "Visibility",
    Annotated[Literal["public", "private"], Field(description="Private sessions are in no list.")],
)

TRANSITIONS: dict[str, tuple[SessionStatus, ...]] = {
    "waiting": ("starting", "cancelled"),
    "starting": ("waiting", "active", "cancelled"),
    "active": ("ended", "cancelled"),
    "ended": (),
    "cancelled": (),
    "expired": (),
}
"""The statuses to which a client may change a session, by its current status."""

SessionId = Annotated[
    str,
    StringConstraints(strict=True, pattern=ID_PATTERN),
    Field(examples=["01a2055f-6d3b-7c41-9d4e-0c8d53b7a7f1"]),
]
SessionName = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=64),
    VisibleText,
    Field(examples=["Friday duel"], json_schema_extra=VISIBLE_TEXT),
]
GameMode = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$"),
    Field(examples=["duel"]),
]
SeatCount = Annotated[int, Field(strict=True, ge=1, le=256, examples=[2]), WholeNumber]
Team = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=32),
    VisibleText,
    Field(examples=["red"], json_schema_extra=VISIBLE_TEXT),
]


class ServerAddress(BaseModel):
    """Where the game server of a session listens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(
        strict=True,
        pattern=r"^[A-Za-z0-9.:_-]{1,253}$",
        description="A host name or an IP address.",
        examples=["198.51.100.7"],
    )
    port: Annotated[int, Field(strict=True, ge=1, le=65535, examples=[7777]), WholeNumber]


class Member(BaseModel):
    """A player who has a seat."""

    model_config = ConfigDict(frozen=True)

    player_id: str
    team: str | None = None
    ready: bool = False
    joined_at: datetime
    claim: str | None = None
    """The token of the claim under which the seat was taken."""

    def with_claim(self, claim: str | None) -> Self:
        """The same member with this claim."""
        return self if self.claim == claim else self.model_copy(update={"claim": claim})


class SessionSettings(BaseModel):
    """The settings that a new session is created with."""

    name: SessionName
    game_mode: GameMode
    max_players: SeatCount
    min_players: SeatCount = Field(default=1, description="At most `max_players`.")
    region: Region | None = None
    visibility: Visibility = "public"
    join_in_progress: StrictBool = Field(
        default=False, description="Whether players may join while the session is `active`."
    )
    attributes: Attributes = Field(default_factory=dict)


@with_config(extra="forbid", json_schema_extra={"examples": [{"max_players": 4}]})
class SessionUpdate(TypedDict, total=False):
    """The fields to change; absent fields keep their values."""

    status: SessionStatus
    name: SessionName
    max_players: SeatCount
    min_players: SeatCount
    region: Region | None
    visibility: Visibility
    join_in_progress: StrictBool
    host_player_id: PlayerId
    server: ServerAddress | None
    attributes: Attributes


@with_config(extra="forbid", json_schema_extra={"examples": [{"ready": True}]})
class MemberUpdate(TypedDict, total=False):
    """The fields to change; absent fields keep their values."""

    ready: StrictBool
    team: Team


class Session(odmantic.Model):
    """A game session: its settings, its status, and its members in the order of joining."""

    model_config = {
        "collection": "sessions",
        "indexes": lambda: [
            odmantic.Index(Session.visibility, desc(Session.id), name="newest"),
            odmantic.Index(Session.ended_at, Session.visibility, desc(Session.id), name="live"),
            odmantic.Index(
                Session.status, Session.visibility, desc(Session.id), name="newest_by_status"
            ),
            odmantic.Index(
                Session.visibility,
                Session.status,
                Session.game_mode,
                desc(Session.id),
                name="by_status_and_mode",
            ),
            odmantic.Index(Session.host_player_id, desc(Session.id), name="by_host"),
        ],
    }

    id: str = odmantic.Field(primary_field=True)
    incarnation: str = odmantic.Field(default_factory=new_token, key_name=INCARNATION)
    """Distinguishes this document from every other one that ever has the same id."""
    name: str
    game_mode: str
    region: str | None = None
    status: SessionStatus = "waiting"
    visibility: Visibility = "public"
    max_players: int
    min_players: int = 1
    free_slots: int
    join_in_progress: bool = False
    host_player_id: str | None = None
    members: tuple[Member, ...] = ()
    server: ServerAddress | None = None
    attributes: dict[str, bool | int | float | str]
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    """None exactly while the session is live; the lists of live sessions rely on it."""
    version: int = 1

    revision: int = 1
    """Counts every write, also those that leave `version` unchanged; it guards each write."""
    writes: tuple[str, ...] = ()
    """The tokens of the last writes; after a lost response they show whether it was made."""
    keyed: bool = False
    """Whether the session was created with a key, whose repetition has to find it for a day."""
    purge_at: datetime | None = None
    """When the database may remove the session; set when it ends. It has a TTL index."""

    @classmethod
    def new(cls, settings: SessionSettings, host_player_id: str | None, creation: Creation) -> Self:
        """A new session as version 1, with its host seated if there is one. Raises InvalidField."""
        check_seats(settings.min_players, settings.max_players)
        session = cls(
            id=creation.id,
            incarnation=creation.incarnation,
            keyed=creation.keyed,
            name=settings.name,
            game_mode=settings.game_mode,
            region=settings.region,
            visibility=settings.visibility,
            max_players=settings.max_players,
            min_players=settings.min_players,
            free_slots=settings.max_players,
            join_in_progress=settings.join_in_progress,
            attributes=settings.attributes,
            created_at=creation.now,
            updated_at=creation.now,
        )
        if host_player_id is not None:
            session._seat([host_player_id], None, creation.now)
        return session

    @property
    def live(self) -> bool:
        return self.status in LIVE

    def member(self, player_id: str) -> Member | None:
        return next((m for m in self.members if m.player_id == player_id), None)

    def join(
        self, player_ids: Sequence[str], team: str | None, by: Caller, now: datetime
    ) -> Events:
        """Seat all of these players or none; those who are already seated keep their seats."""
        newcomers = [p for p in player_ids if self.member(p) is None]
        if newcomers or not self.live:
            if not (self.status == "waiting" or self.status == "active" and self.join_in_progress):
                raise SessionNotJoinable(self.status)
            if len(newcomers) > self.free_slots:
                raise SessionFull()
        if not newcomers:
            return ()
        host, status = self.host_player_id, self.status
        self._seat(newcomers, team, max(now, self.updated_at))
        event = Event("joined", tuple(newcomers), team=team, by=by)
        return self._finish(event, host, status, by, now)

    def leave(self, player_id: str, by: Caller, now: datetime) -> Events:
        """Free the seat of a player; does nothing if there is none, or if the session has ended."""
        if not self.live or self.member(player_id) is None:
            return ()
        host, status = self.host_player_id, self.status
        self.members = tuple(m for m in self.members if m.player_id != player_id)
        return self._finish(Event("left", (player_id,), by=by), host, status, by, now)

    def change_member(
        self, player_id: str, changes: MemberUpdate, by: Caller, now: datetime
    ) -> Events:
        """Change the readiness or the team of a member."""
        member = self.member(player_id)
        if member is None:
            raise MemberNotFound()
        if not self.live:
            raise SessionOver(self.status)
        fields = tuple(key for key, new in changes.items() if getattr(member, key) != new)
        if not fields:
            return ()
        changed = member.model_copy(update=dict(changes))
        self.members = tuple(changed if m is member else m for m in self.members)
        event = Event("member_changed", (player_id,), fields, by=by)
        return self._finish(event, self.host_player_id, self.status, by, now)

    def change(self, changes: SessionUpdate, by: Caller, now: datetime) -> Events:
        """Make all of these changes to settings and status, or none of them."""
        effective: dict[str, Any] = {
            key: new for key, new in changes.items() if not unchanged(getattr(self, key), new)
        }
        if not effective:
            return ()
        if not self.live:
            raise SessionOver(self.status)
        max_players = effective.get("max_players", self.max_players)
        min_players = effective.get("min_players", self.min_players)
        check_seats(min_players, max_players)
        if len(self.members) > max_players:
            raise TooManyMembers(len(self.members))
        if "host_player_id" in effective and self.member(effective["host_player_id"]) is None:
            raise NotAMember()
        if "status" in changes:
            self._check_transition(changes["status"], min_players)
        host, status = self.host_player_id, self.status
        for key, new in effective.items():
            setattr(self, key, new)
        settings = tuple(key for key in effective if key not in ("status", "host_player_id"))
        event = Event("settings_changed", fields=settings, by=by) if settings else None
        return self._finish(event, host, status, by, now)

    def touch(self) -> None:
        """Ask for a write without a new version, for changes that clients do not see as one."""
        self.revision += 1

    def _check_transition(self, target: SessionStatus, min_players: int) -> None:
        if target not in (self.status, *TRANSITIONS[self.status]):
            raise IllegalTransition(self.status, target, TRANSITIONS[self.status])
        # A session may stay `active` with fewer players, but `starting` would become `waiting`.
        needs_players = target == "starting" or target == "active" != self.status
        if needs_players and len(self.members) < min_players:
            raise NotEnoughPlayers(len(self.members), min_players)

    def _seat(self, player_ids: Sequence[str], team: str | None, now: datetime) -> None:
        self.members += tuple(Member(player_id=p, team=team, joined_at=now) for p in player_ids)
        self._update_derived()

    def _update_derived(self) -> None:
        """Update what follows from the members: the host, and the number of free slots."""
        if self.host_player_id is None or self.member(self.host_player_id) is None:
            self.host_player_id = self.members[0].player_id if self.members else None
        self.free_slots = self.max_players - len(self.members)

    def _finish(
        self,
        event: Event | None,
        host: str | None,
        status: SessionStatus,
        by: Caller,
        now: datetime,
    ) -> Events:
        """Update what follows from a change, and count one version.

        `host` and `status` are the values before the change. Returns the events of the version.
        """
        now = max(now, self.updated_at)  # The clocks of processes may differ.
        self._update_derived()
        if self.status == "starting" and len(self.members) < self.min_players:
            self.status = "waiting"
        ready: tuple[str, ...] = ()
        if self.status == "waiting" and status != "waiting":
            ready = tuple(m.player_id for m in self.members if m.ready)
            self.members = tuple(
                m.model_copy(update={"ready": False}) if m.ready else m for m in self.members
            )
        if self.status == "active" and self.started_at is None:
            self.started_at = now
        if not self.live:
            self.ended_at = now
        self.updated_at = now
        self.version += 1
        events = [event] if event is not None else []
        if self.host_player_id != host:
            events.append(Event("host_changed", old=host, new=self.host_player_id, by=by))
        if self.status != status:
            events.append(Event("status_changed", old=status, new=self.status, by=by))
        if ready:
            events.append(Event("member_changed", ready, ("ready",), by=by))
        return tuple(events)


def check_seats(min_players: int, max_players: int) -> None:
    """Raises InvalidField if `min_players` is greater than `max_players`."""
    if min_players > max_players:
        raise InvalidField(
            "min_players", f"min_players must not be greater than max_players ({max_players})"
        )
