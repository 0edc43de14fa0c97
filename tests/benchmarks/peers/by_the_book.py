"""By the book: FastAPI, ODMantic's AIOEngine on motor, and an http middleware that logs through
watchtower, as the tutorials of the three libraries have it.

A client that writes to the null device takes the place of CloudWatch.
"""

import logging
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import watchtower
from fastapi import FastAPI, HTTPException, Query, Request, Response
from motor.motor_asyncio import AsyncIOMotorClient
from odmantic import AIOEngine, EmbeddedModel, Field, Model
from pydantic import BaseModel

from tests.benchmarks.peers import bodies
from tests.benchmarks.peers.bodies import Attributes, NewPlayer, NewSession, StatusUpdate, new_id


class NullCloudWatch:
    """The part of boto3's client that watchtower calls."""

    def __init__(self) -> None:
        self._null = open(os.devnull, "w")

    def put_log_events(self, **events: Any) -> dict[str, Any]:
        self._null.write(str(events))
        return {}


logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)
logger.addHandler(
    watchtower.CloudWatchLogHandler(
        log_group_name="game-session-logs",
        log_stream_name="api-logs",
        boto3_client=NullCloudWatch(),
        create_log_group=False,
        create_log_stream=False,
        send_interval=5,
    )
)


def now() -> datetime:
    """ODMantic takes and returns times without a time zone."""
    return bodies.now().replace(tzinfo=None)


class Player(Model):
    model_config = {"collection": "players"}

    player_id: str = Field(primary_field=True)
    username: str
    username_key: str
    display_name: str
    region: str | None = None
    rating: int = 1000
    attributes: Attributes = {}
    created_at: datetime = Field(default_factory=now)
    updated_at: datetime = Field(default_factory=now)
    version: int = 1


class Member(EmbeddedModel):
    player_id: str
    team: str | None = None
    ready: bool = False
    joined_at: datetime = Field(default_factory=now)


class Session(Model):
    model_config = {"collection": "sessions"}

    session_id: str = Field(primary_field=True, default_factory=new_id)
    name: str
    game_mode: str
    region: str | None = None
    status: str = "waiting"
    visibility: str = "public"
    max_players: int
    min_players: int = 1
    player_count: int = 0
    free_slots: int
    join_in_progress: bool = False
    host_player_id: str | None = None
    members: list[Member] = []
    server: dict[str, Any] | None = None
    attributes: Attributes = {}
    created_at: datetime = Field(default_factory=now)
    updated_at: datetime = Field(default_factory=now)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    version: int = 1


class Page(BaseModel):
    items: list[Session]
    next_cursor: str | None = None


client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(bodies.URI)
engine = AIOEngine(client=client, database=bodies.DATABASE)
app = FastAPI()


@app.middleware("http")
async def log_requests(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    logger.info(
        {
            "request_id": request.headers.get("X-Request-ID"),
            "path": request.url.path,
            "method": request.method,
            "timestamp": datetime.now(UTC).isoformat(),
        }
    )
    return await call_next(request)


async def player_or_404(player_id: str) -> Player:
    player = await engine.find_one(Player, Player.player_id == player_id)
    if player is None:
        raise HTTPException(404, "player_not_found")
    return player


async def session_or_404(session_id: str) -> Session:
    session = await engine.find_one(Session, Session.session_id == session_id)
    if session is None:
        raise HTTPException(404, "session_not_found")
    return session


async def save(session: Session) -> Session:
    session.player_count = len(session.members)
    session.free_slots = session.max_players - len(session.members)
    session.updated_at = now()
    session.version += 1
    return await engine.save(session)


@app.post("/api/v1/players", status_code=201, response_model_exclude={"username_key"})
async def create_player(body: NewPlayer) -> Player:
    player = Player(
        **body.model_dump(exclude={"display_name"}),
        display_name=body.display_name or body.username,
        username_key=body.username.lower(),
    )
    return await engine.save(player)


@app.get("/api/v1/players/{player_id}", response_model_exclude={"username_key"})
async def get_player(player_id: str) -> Player:
    return await player_or_404(player_id)


@app.post("/api/v1/sessions", status_code=201)
async def create_session(body: NewSession) -> Session:
    return await engine.save(Session(**body.model_dump(), free_slots=body.max_players))


@app.get("/api/v1/sessions")
async def list_sessions(status: str, game_mode: str, limit: int = Query(20, ge=1, le=100)) -> Page:
    found = await engine.find(
        Session,
        Session.visibility == "public",
        Session.status == status,
        Session.game_mode == game_mode,
        sort=Session.session_id.desc(),  # type: ignore[attr-defined]
        limit=limit + 1,
    )
    following = found[limit - 1].session_id if len(found) > limit else None
    return Page(items=found[:limit], next_cursor=following)


@app.get("/api/v1/sessions/{session_id}")
async def get_session(session_id: str) -> Session:
    return await session_or_404(session_id)


@app.put("/api/v1/sessions/{session_id}")
async def update_session(session_id: str, body: StatusUpdate) -> Session:
    session = await session_or_404(session_id)
    session.status = body.status
    return await save(session)


@app.put("/api/v1/sessions/{session_id}/players/{player_id}", status_code=201)
async def join_session(session_id: str, player_id: str) -> Session:
    session = await session_or_404(session_id)
    await player_or_404(player_id)
    if session.status != "waiting" or len(session.members) >= session.max_players:
        raise HTTPException(409, "session_full")
    session.members = [*session.members, Member(player_id=player_id)]
    return await save(session)


@app.delete("/api/v1/sessions/{session_id}/players/{player_id}", status_code=204)
async def leave_session(session_id: str, player_id: str) -> None:
    session = await session_or_404(session_id)
    session.members = [member for member in session.members if member.player_id != player_id]
    await save(session)
