"""What routes are given: `Annotated` aliases for stores, settings and the time."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from game_api.clock import utc_now
from game_api.connection import Connection
from game_api.metrics import Metrics
from game_api.players.store import PlayerStore
from game_api.sessions.store import SessionStore


async def players(request: Request) -> PlayerStore:
    store: PlayerStore = request.state.players
    return store


async def sessions(request: Request) -> SessionStore:
    store: SessionStore = request.state.sessions
    return store


async def connection(request: Request) -> Connection:
    of_the_process: Connection = request.state.connection
    return of_the_process


async def metrics(request: Request) -> Metrics:
    of_the_process: Metrics = request.state.process.metrics
    return of_the_process


async def now() -> datetime:
    return utc_now()


Players = Annotated[PlayerStore, Depends(players)]
Sessions = Annotated[SessionStore, Depends(sessions)]
DatabaseConnection = Annotated[Connection, Depends(connection)]
TheMetrics = Annotated[Metrics, Depends(metrics)]
Now = Annotated[datetime, Depends(now)]
