"""The request and response bodies of sessions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from game_api.clock import Timestamp, rfc3339
from game_api.database.client import Document
from game_api.http.pagination import NextCursor
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


class Member(TypedDict):
    """A player who has a seat."""

    player_id: str
    team: str | None
    ready: bool
    joined_at: Timestamp


class GameServer(TypedDict):
    """Where the game server of a session listens."""

    address: Annotated[str, Field(description="A host name or an IP address.")]
    port: Int32


@with_config(
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
class Session(TypedDict):
    """A session; `player_count + free_slots = max_players`, members in the order of joining."""

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


class SessionPage(TypedDict):
    """One page of a list of sessions."""

    items: list[Session]
    next_cursor: NextCursor


def of_model(session: model.Session) -> Session:
    """The resource that shows this session."""
    members = [_member(vars(member)) for member in session.members]
    server = None if session.server is None else vars(session.server)
    return _session(session.id, vars(session), members, server)


def of_document(document: Document) -> Session:
    """The resource that shows the session in this document.

    What was validated when it was written is not validated again.
    """
    members = [_member(member) for member in document["members"]]
    return _session(document["_id"], document, members, document["server"])


def _session(
    session_id: str,
    fields: Mapping[str, Any],
    members: list[Member],
    server: Mapping[str, Any] | None,
) -> Session:
    """The resource with these fields, which a model and a document have under the same names."""
    return {
        "session_id": session_id,
        "name": fields["name"],
        "game_mode": fields["game_mode"],
        "region": fields["region"],
        "status": fields["status"],
        "visibility": fields["visibility"],
        "max_players": fields["max_players"],
        "min_players": fields["min_players"],
        "player_count": len(members),
        "free_slots": fields["free_slots"],
        "join_in_progress": fields["join_in_progress"],
        "host_player_id": fields["host_player_id"],
        "members": members,
        "server": (
            None if server is None else {"address": server["address"], "port": server["port"]}
        ),
        "attributes": fields["attributes"],
        "created_at": rfc3339(fields["created_at"]),
        "updated_at": rfc3339(fields["updated_at"]),
        "started_at": _time(fields["started_at"]),
        "ended_at": _time(fields["ended_at"]),
        "version": fields["version"],
    }


def _member(fields: Mapping[str, Any]) -> Member:
    return {
        "player_id": fields["player_id"],
        "team": fields["team"],
        "ready": fields["ready"],
        "joined_at": rfc3339(fields["joined_at"]),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
