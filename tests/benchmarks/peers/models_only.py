"""FastAPI, and ODMantic's models on AsyncMongoClient: game-api without its checks, deadlines,
conditions, tokens, limits, request ids, log, metrics and group commit.

The database gets the same commands as from game-api, one write for each change.
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Self

from fastapi import FastAPI, HTTPException, Query
from odmantic import Field, Model
from pydantic import BaseModel, ConfigDict
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

WRITES_KEPT = 16


def new_token() -> str:
    return uuid.uuid4().hex


class Player(Model):
    model_config = {"collection": "players"}

    id: str = Field(primary_field=True)
    birth: str = Field(default_factory=new_token)
    username: str
    username_key: str
    display_name: str
    region: str | None = None
    rating: int
    attributes: Attributes
    created_at: datetime = Field(default_factory=now)
    updated_at: datetime = Field(default_factory=now)
    version: int = 1
    session_id: str | None = None
    claim: str | None = None


class Member(BaseModel):
    model_config = ConfigDict(frozen=True)

    player_id: str
    team: str | None = None
    ready: bool = False
    joined_at: datetime
    claim: str | None = None


class Session(Model):
    model_config = {"collection": "sessions"}

    id: str = Field(primary_field=True, default_factory=new_id)
    birth: str = Field(default_factory=new_token)
    name: str
    game_mode: str
    region: str | None = None
    status: str = "waiting"
    visibility: str = "public"
    max_players: int
    min_players: int = 1
    free_slots: int
    join_in_progress: bool = False
    host_player_id: str | None = None
    members: tuple[Member, ...] = ()
    server: dict[str, Any] | None = None
    attributes: Attributes
    created_at: datetime = Field(default_factory=now)
    updated_at: datetime = Field(default_factory=now)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    version: int = 1
    revision: int = 1
    writes: tuple[str, ...] = ()


class ShownPlayer(BaseModel):
    player_id: str
    username: str
    display_name: str
    region: str | None
    rating: int
    attributes: Attributes
    created_at: datetime
    updated_at: datetime
    version: int

    @classmethod
    def of(cls, player: Player) -> Self:
        fields = {name: getattr(player, name) for name in cls.model_fields if name != "player_id"}
        return cls(player_id=player.id, **fields)


class ShownMember(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    player_id: str
    team: str | None
    ready: bool
    joined_at: datetime


class ShownSession(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    session_id: str
    name: str
    game_mode: str
    region: str | None
    status: str
    visibility: str
    max_players: int
    min_players: int
    player_count: int
    free_slots: int
    join_in_progress: bool
    host_player_id: str | None
    members: list[ShownMember]
    server: dict[str, Any] | None
    attributes: Attributes
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    version: int

    @classmethod
    def of(cls, session: Session) -> Self:
        own = cls.model_fields.keys() - {"session_id", "player_count"}
        fields = {name: getattr(session, name) for name in own}
        return cls(session_id=session.id, player_count=len(session.members), **fields)


class Page(BaseModel):
    items: list[ShownSession]
    next_cursor: str | None = None


client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
    URI, tz_aware=True, maxPoolSize=10, maxConnecting=2, retryWrites=False, w="majority"
)
players, sessions = client[DATABASE][+Player], client[DATABASE][+Session]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await client.close()


app = FastAPI(lifespan=lifespan)


async def session_or_404(session_id: str) -> Session:
    document = await sessions.find_one({"_id": session_id})
    if document is None:
        raise HTTPException(404, "session_not_found")
    return Session.model_validate_doc(document)


async def claim(player_id: str, session_id: str) -> str:
    """Claim a player for a session; returns the token of the claim."""
    token = new_token()
    result = await players.update_one(
        {"_id": player_id, "session_id": None},
        {"$set": {"session_id": session_id, "claim": token}},
    )
    if not result.matched_count:
        raise HTTPException(409, "already_in_session")
    return token


async def release(player_id: str, token: str | None) -> None:
    await players.update_one(
        {"_id": player_id, "claim": token}, {"$set": {"session_id": None, "claim": None}}
    )


async def write(session: Session) -> ShownSession:
    guard = {"_id": session.id, "revision": session.revision}
    session.revision += 1
    session.version += 1
    session.writes = (*session.writes, new_token())[-WRITES_KEPT:]
    session.free_slots = session.max_players - len(session.members)
    session.updated_at = now()
    if not (await sessions.replace_one(guard, session.model_dump_doc())).matched_count:
        raise HTTPException(409, "conflict")
    return ShownSession.of(session)


@app.post("/api/v1/players", status_code=201)
async def create_player(body: NewPlayer) -> ShownPlayer:
    player = Player(
        **body.model_dump(exclude={"player_id", "display_name"}),
        id=body.player_id,
        display_name=body.display_name or body.username,
        username_key=body.username.lower(),
    )
    await players.insert_one(player.model_dump_doc())
    return ShownPlayer.of(player)


@app.get("/api/v1/players/{player_id}")
async def get_player(player_id: str) -> ShownPlayer:
    document = await players.find_one({"_id": player_id})
    if document is None:
        raise HTTPException(404, "player_not_found")
    return ShownPlayer.of(Player.model_validate_doc(document))


@app.post("/api/v1/sessions", status_code=201)
async def create_session(body: NewSession) -> ShownSession:
    session = Session(**body.model_dump(), free_slots=body.max_players)
    await sessions.insert_one(session.model_dump_doc())
    return ShownSession.of(session)


@app.get("/api/v1/sessions")
async def list_sessions(status: str, game_mode: str, limit: int = Query(20, ge=1, le=100)) -> Page:
    query = {
        "ended_at": None,
        "status": status,
        "visibility": "public",
        "game_mode": game_mode,
    }
    cursor = sessions.find(query, sort=[("_id", -1)], limit=limit + 1, batch_size=limit + 2)
    found = [Session.model_validate_doc(document) for document in await cursor.to_list()]
    following = found[limit - 1].id if len(found) > limit else None
    items = [ShownSession.of(session) for session in found[:limit]]
    return Page(items=items, next_cursor=following)


@app.get("/api/v1/sessions/{session_id}")
async def get_session(session_id: str) -> ShownSession:
    return ShownSession.of(await session_or_404(session_id))


@app.put("/api/v1/sessions/{session_id}")
async def update_session(session_id: str, body: StatusUpdate) -> ShownSession:
    session = await session_or_404(session_id)
    session.status = body.status
    return await write(session)


@app.put("/api/v1/sessions/{session_id}/players/{player_id}", status_code=201)
async def join_session(session_id: str, player_id: str) -> ShownSession:
    session = await session_or_404(session_id)
    if session.status != "waiting" or len(session.members) >= session.max_players:
        raise HTTPException(409, "session_full")
    token = await claim(player_id, session_id)
    session.members += (Member(player_id=player_id, joined_at=now(), claim=token),)
    return await write(session)


@app.delete("/api/v1/sessions/{session_id}/players/{player_id}", status_code=204)
async def leave_session(session_id: str, player_id: str) -> None:
    session = await session_or_404(session_id)
    token = next(member.claim for member in session.members if member.player_id == player_id)
    session.members = tuple(m for m in session.members if m.player_id != player_id)
    await write(session)
    await release(player_id, token)
