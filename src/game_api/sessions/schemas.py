"""The request and response bodies of sessions."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from game_api.clock import Timestamp
from game_api.players.model import PlayerId
from game_api.sessions.model import Server, Session, SessionSettings, Status, Team, Visibility
from game_api.values import Attributes


class NewSession(SessionSettings):
    """A session to create."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"name": "Friday duel", "game_mode": "duel", "max_players": 2}]
        },
    )

    # An empty string stands for no host. The factory keeps `null` out of the schema.
    host_player_id: PlayerId = Field(
        default_factory=str, description="The player who takes the first seat.", examples=["ada"]
    )


class JoinRequest(BaseModel):
    """How a player joins."""

    model_config = ConfigDict(extra="forbid")

    team: Team = Field(default_factory=str, description="No team if it is absent.")


def _check_unique(player_ids: list[str]) -> list[str]:
    if len(set(player_ids)) < len(player_ids):
        raise PydanticCustomError("repeated", "each player_id may occur only once")
    return player_ids


class Party(BaseModel):
    """Players who join together, all or none."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"player_ids": ["ada", "bob"]}]}
    )

    player_ids: Annotated[
        list[PlayerId],
        Field(min_length=1, max_length=64, json_schema_extra={"uniqueItems": True}),
        AfterValidator(_check_unique),
    ]


class MemberOut(BaseModel):
    """A player who has a seat."""

    player_id: str
    team: str | None
    ready: bool
    joined_at: Timestamp


class SessionOut(BaseModel):
    """A session; `player_count + free_slots = max_players`, members in the order of joining."""

    session_id: str
    name: str
    game_mode: str
    region: str | None
    status: Status
    visibility: Visibility
    max_players: int
    min_players: int
    player_count: int
    free_slots: int
    join_in_progress: bool
    host_player_id: str | None
    members: list[MemberOut]
    server: Server | None
    attributes: Attributes
    created_at: Timestamp
    updated_at: Timestamp
    started_at: Timestamp | None
    ended_at: Timestamp | None
    version: int

    @classmethod
    def from_session(cls, session: Session) -> "SessionOut":
        return cls.model_construct(
            session_id=session.id,
            name=session.name,
            game_mode=session.game_mode,
            region=session.region,
            status=session.status,
            visibility=session.visibility,
            max_players=session.max_players,
            min_players=session.min_players,
            player_count=len(session.members),
            free_slots=session.free_slots,
            join_in_progress=session.join_in_progress,
            host_player_id=session.host_player_id,
            members=[
                MemberOut.model_construct(
                    player_id=m.player_id, team=m.team, ready=m.ready, joined_at=m.joined_at
                )
                for m in session.members
            ],
            server=session.server,
            attributes=session.attributes,
            created_at=session.created_at,
            updated_at=session.updated_at,
            started_at=session.started_at,
            ended_at=session.ended_at,
            version=session.version,
        )
