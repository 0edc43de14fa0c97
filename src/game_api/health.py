"""Health: is the process alive, may it get requests, how are the parts it needs."""

import time
from typing import Literal

import pymongo
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from pymongo.errors import PyMongoError

from game_api import __version__
from game_api.connection import Connection
from game_api.dependencies import DatabaseConnection
from game_api.errors import CredentialsError, DatabaseUnavailable, ShuttingDown
from game_api.logs import Logs
from game_api.openapi import problems
from game_api.routing import ApiRoute

PING_SECONDS = 1.0
PING_PATIENCE = 0.5
"""How many of them may be spent on waiting for credentials."""

router = APIRouter(prefix="/health", tags=["health"], route_class=ApiRoute)

Condition = Literal["ok", "degraded", "down"]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str
    commit: str


class Readiness(BaseModel):
    """The process may get requests."""

    status: Literal["ok"] = "ok"


class Component(BaseModel):
    """How a part does that the service needs."""

    status: Condition
    latency_ms: float | None = Field(None, description="How long a ping took.")
    detail: str | None = None


class LogsComponent(Component):
    """How the delivery of log records does: `degraded` while CloudWatch can't be reached."""

    queued: int = Field(0, description="Records that wait for delivery.")
    dropped: int = Field(0, description="Records that were given up since the start.")


class Components(BaseModel):
    """The parts that the service needs."""

    database: Component
    logs: LogsComponent


class DetailedHealth(BaseModel):
    """How the service and its parts do: `down` when a required part is."""

    status: Condition
    version: str
    commit: str
    uptime_seconds: float
    components: Components


async def ping(connection: Connection) -> float:
    """Seconds that the database takes to answer. Raises PyMongoError after one second."""
    started = time.perf_counter()
    with pymongo.timeout(PING_SECONDS):
        await connection.run(lambda database: database.command("ping"), PING_PATIENCE)
    return time.perf_counter() - started


@router.get("", operation_id="getHealth", summary="Liveness")
async def health(request: Request) -> Health:
    """The process is alive. The database is not asked."""
    return Health(version=__version__, commit=request.state.settings.commit)


@router.get(
    "/ready",
    operation_id="getReadiness",
    summary="Readiness",
    responses=problems(DatabaseUnavailable, ShuttingDown),
)
async def ready(request: Request, connection: DatabaseConnection) -> Readiness:
    """The process may get requests: the database answers within a second, no shutdown has begun."""
    if request.state.process.stopping:
        raise ShuttingDown()
    try:
        await ping(connection)
    except PyMongoError:
        raise DatabaseUnavailable("The database did not answer within a second.") from None
    return Readiness()


@router.get(
    "/detailed",
    operation_id="getDetailedHealth",
    summary="Every part's condition",
    response_model_exclude_none=True,
    responses={503: {"model": DetailedHealth, "description": "A required part is down."}},
)
async def detailed(
    request: Request, response: Response, connection: DatabaseConnection
) -> DetailedHealth:
    """How the service and its parts do."""
    try:
        latency = await ping(connection)
        database = Component(status="ok", latency_ms=round(latency * 1000, 3))
    except PyMongoError as error:
        # The error's own text may hold addresses; its kind is enough to go and look.
        detail = f"no answer ({type(error).__name__})"
        if isinstance(error, CredentialsError):  # whose text is ours
            detail = str(error)
        database = Component(status="down", detail=detail)
        response.status_code = 503
    logs = condition_of(request.state.process.logs)
    return DetailedHealth(
        status=database.status if database.status != "ok" else logs.status,
        version=__version__,
        commit=request.state.settings.commit,
        uptime_seconds=round(time.monotonic() - request.state.process.started, 3),
        components=Components(database=database, logs=logs),
    )


def condition_of(logs: Logs) -> LogsComponent:
    """Whether log records are delivered, if they are to be."""
    written = 0 if logs.relay is None else logs.relay.dropped
    handler = logs.cloudwatch
    if handler is None:
        return LogsComponent(status="ok", detail="standard output only", dropped=written)
    return LogsComponent(
        status="ok" if handler.failure is None else "degraded",
        detail=handler.failure,
        queued=handler.queued,
        dropped=written + handler.dropped,
    )
