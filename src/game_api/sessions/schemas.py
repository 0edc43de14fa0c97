"""The request and response bodies of sessions."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from game_api.clock import Timestamp
from game_api.http.pagination import Page
from game_api.players.model import PlayerId
from game_api.sessions import model
from game_api.sessions.model import SessionSettings, SessionStatus, Team, Visibility
from game_api.values import Attributes, Int32, Int64

SESSION_ID = "01a2055f-6d3b-7c41-9d4e-0c8d53b7a7f1"


class SessionCreate(SessionSettings):
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


class SessionJoin(BaseModel):
    """How a player joins."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"team": "red"}]})

    team: Team = Field(default_factory=str, description="No team if it is absent.")


def _check_unique(player_ids: list[str]) -> list[str]:
    if len(set(player_ids)) < len(player_ids):
        raise PydanticCustomError("repeated", "each player_id may occur only once")
    return player_ids


class PartyJoin(BaseModel):
    """Players who join together, all or none."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"player_ids": ["ada", "bob"]}]}
    )

    player_ids: Annotated[
        list[PlayerId],
        Field(min_length=1, max_length=64, json_schema_extra={"uniqueItems": True}),
        AfterValidator(_check_unique),
    ]


class Member(BaseModel):
    """A player who has a seat."""

    player_id: str
    team: str | None
    ready: bool
    joined_at: Timestamp


class GameServer(BaseModel):
    """Where the game server of a session listens."""

    address: str = Field(description="A host name or an IP address.")
    port: Int32

    @classmethod
    def of(cls, server: model.ServerAddress | None) -> "GameServer | None":
        """The resource that shows this server, if there is one."""
        if server is None:
            return None
        return cls.model_construct(address=server.address, port=server.port)


class Session(BaseModel):
    """A session; `player_count + free_slots = max_players`, members in the order of joining."""

    model_config = ConfigDict(
        json_schema_extra={
            # No member is null, because FastAPI leaves null out of the document.
            "examples": [
                {
                    "session_id": SESSION_ID,
                    "name": "Friday duel",
                    "game_mode": "duel",
                    "region": "eu-central-1",
                    "status": "ended",
                    "visibility": "public",
                    "max_players": 2,
                    "min_players": 1,
                    "player_count": 1,
                    "free_slots": 1,
                    "join_in_progress": False,
                    "host_player_id": "ada",
                    "members": [
                        {
                            "player_id": "ada",
                            "team": "red",
                            "ready": True,
                            "joined_at": "2026-11-22T19:00:00.123Z",
                        }
                    ],
                    "server": {"address": "198.51.100.7", "port": 7777},
                    "attributes": {"map": "harbour", "ranked": True},
                    "created_at": "2026-11-22T19:00:00.123Z",
                    "updated_at": "2026-11-22T19:20:00.456Z",
                    "started_at": "2026-11-22T19:01:00.789Z",
                    "ended_at": "2026-11-22T19:20:00.456Z",
                    "version": 6,
                }
            ]
        }
    )

    session_id: str
    name: str
    game_mode: str
    region: str | None
    status: SessionStatus
    visibility: Visibility
    max_players: Int32
    min_players: Int32
    player_count: Int32
    free_slots: Int32
    join_in_progress: bool
    host_player_id: str | None
    members: list[Member]
    server: GameServer | None
    attributes: Attributes
    created_at: Timestamp
    updated_at: Timestamp
    started_at: Timestamp | None
    ended_at: Timestamp | None
    version: Int64

    @classmethod
    def of(cls, session: model.Session) -> "Session":
        """The resource that shows this session."""
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
                Member.model_construct(
                    player_id=m.player_id, team=m.team, ready=m.ready, joined_at=m.joined_at
                )
                for m in session.members
            ],
            server=GameServer.of(session.server),
            attributes=session.attributes,
            created_at=session.created_at,
            updated_at=session.updated_at,
            started_at=session.started_at,
            ended_at=session.ended_at,
            version=session.version,
        )


class SessionPage(Page[Session]):
    """One page of a list of sessions."""
