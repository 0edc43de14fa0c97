"""FastAPI and Beanie, as their tutorials have it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from beanie import Document, init_beanie
from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, Field
from pymongo import AsyncMongoClient

from tests.benchmarks.peers.bodies import (
    DATABASE,
    URI,
    Attributes,
    NewPlayer,
    NewSession,
    StatusUpdate,
    new_id,
    now,
)


class Player(Document):
    id: str = Field(serialization_alias="player_id")
    username: str
    username_key: str
    display_name: str
    region: str | None = None
    rating: int = 1000
    attributes: Attributes = {}
    created_at: datetime = Field(default_factory=now)
    updated_at: datetime = Field(default_factory=now)
    version: int = 1

    class Settings:
        name = "players"


class Member(BaseModel):
    player_id: str
    team: str | None = None
    ready: bool = False
    joined_at: datetime = Field(default_factory=now)


class Session(Document):
    id: str = Field(default_factory=new_id, serialization_alias="session_id")
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

    class Settings:
        name = "sessions"


class Page(BaseModel):
    items: list[Session]
    next_cursor: str | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(URI, tz_aware=True, maxPoolSize=10)
    await init_beanie(database=client[DATABASE], document_models=[Player, Session])
    yield
    await client.close()


app = FastAPI(lifespan=lifespan)


async def player_or_404(player_id: str) -> Player:
    player = await Player.get(player_id)
    if player is None:
        raise HTTPException(404, "player_not_found")
    return player


async def session_or_404(session_id: str) -> Session:
    session = await Session.get(session_id)
    if session is None:
        raise HTTPException(404, "session_not_found")
    return session


async def save(session: Session) -> Session:
    session.player_count = len(session.members)
    session.free_slots = session.max_players - len(session.members)
    session.updated_at = now()
    session.version += 1
    return await session.replace()


@app.post("/api/v1/players", status_code=201, response_model_exclude={"username_key"})
async def create_player(body: NewPlayer) -> Player:
    player = Player(
        **body.model_dump(exclude={"player_id", "display_name"}),
        id=body.player_id,
        display_name=body.display_name or body.username,
        username_key=body.username.lower(),
    )
    return await player.insert()


@app.get("/api/v1/players/{player_id}", response_model_exclude={"username_key"})
async def get_player(player_id: str) -> Player:
    return await player_or_404(player_id)


@app.post("/api/v1/sessions", status_code=201)
async def create_session(body: NewSession) -> Session:
    return await Session(**body.model_dump(), free_slots=body.max_players).insert()


@app.get("/api/v1/sessions")
async def list_sessions(status: str, game_mode: str, limit: int = Query(20, ge=1, le=100)) -> Page:
    found = (
        await Session.find(
            Session.visibility == "public",
            Session.status == status,
            Session.game_mode == game_mode,
        )
        .sort("-_id")
        .limit(limit + 1)
        .to_list()
    )
    following = found[limit - 1].id if len(found) > limit else None
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
    session.members.append(Member(player_id=player_id))
    return await save(session)


@app.delete("/api/v1/sessions/{session_id}/players/{player_id}", status_code=204)
async def leave_session(session_id: str, player_id: str) -> None:
    session = await session_or_404(session_id)
    session.members = [member for member in session.members if member.player_id != player_id]
    await save(session)
