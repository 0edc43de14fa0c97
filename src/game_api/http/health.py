"""Health: liveness, readiness, and the condition of each component."""

import time
from typing import Annotated, Literal

import pymongo
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field
from pymongo.errors import PyMongoError
from typing_extensions import TypeAliasType

from game_api import __version__
from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.database.errors import CredentialsError
from game_api.database.indexes import IndexCheck
from game_api.errors import DatabaseUnavailable
from game_api.http.dependencies import app_object
from game_api.http.openapi import problems
from game_api.http.problems import ShuttingDown
from game_api.http.routing import ApiRoute
from game_api.observability.logs import Logs
from game_api.runtime import Runtime
from game_api.values import Int64

PING_SECONDS = 1.0
PING_CREDENTIALS_SECONDS = 0.5
"""How many of these seconds a ping may wait for credentials."""

router = APIRouter(prefix="/health", tags=["health"], route_class=ApiRoute)

ConnectionDep = Annotated[Connection, Depends(app_object(Connection))]
RuntimeDep = Annotated[Runtime, Depends(app_object(Runtime))]
IndexCheckDep = Annotated[IndexCheck, Depends(app_object(IndexCheck))]
HealthStatus = TypeAliasType("HealthStatus", Literal["ok", "degraded", "down"])


class Health(BaseModel):
    """The process is running."""

    status: HealthStatus
    version: str
    commit: str


class Readiness(BaseModel):
    """The process can serve requests."""

    status: HealthStatus


class Component(BaseModel):
    """The condition of one required component."""

    status: HealthStatus
    latency_ms: float | None = Field(None, description="The round-trip time of a ping.")
    detail: str | None = None


class LogsComponent(Component):
    """The condition of log delivery: `degraded` while CloudWatch Logs does not accept records."""

    queued: Int64 = Field(description="The number of records that wait for delivery.")
    dropped: Int64 = Field(description="The number of records dropped since the start.")


class Components(BaseModel):
    """The components that the service needs."""

    database: Component
    logs: LogsComponent


class DetailedHealth(BaseModel):
    """The condition of the service and its components: `down` if a required component is down."""

    status: HealthStatus
    version: str
    commit: str
    uptime_seconds: float
    components: Components


async def check_database(connection: Connection, indexes: IndexCheck) -> tuple[float, str | None]:
    """The round-trip time to the database in seconds, and a sentence about missing indexes.

    Raises PyMongoError after one second.
    """
    with pymongo.timeout(PING_SECONDS):

        async def ping(database: Database) -> None:
            await database.command("ping")

        started = time.perf_counter()
        await connection.run("ping", ping, PING_CREDENTIALS_SECONDS)
        latency = time.perf_counter() - started
        return latency, await indexes.problem(PING_CREDENTIALS_SECONDS)


@router.get(
    "",
    operation_id="getHealth",
    summary="Liveness",
    responses={200: {"description": "The process is running."}},
)
async def health(runtime: RuntimeDep) -> Health:
    """The process is running. The database is not checked."""
    return Health(status="ok", version=__version__, commit=runtime.settings.commit)


@router.get(
    "/ready",
    operation_id="getReadiness",
    summary="Readiness",
    responses={
        200: {"description": "The process can serve requests."},
        **problems(DatabaseUnavailable, ShuttingDown),
    },
)
async def ready(
    runtime: RuntimeDep, connection: ConnectionDep, indexes: IndexCheckDep
) -> Readiness:
    """The process can serve requests: the database responds and has the unique indexes."""
    if runtime.lifecycle.shutdown.is_set():
        raise ShuttingDown()
    try:
        _, problem = await check_database(connection, indexes)
    except PyMongoError:
        raise DatabaseUnavailable("The database did not respond within one second.") from None
    if problem is not None:
        raise DatabaseUnavailable(problem)
    return Readiness(status="ok")


@router.get(
    "/detailed",
    operation_id="getDetailedHealth",
    summary="The condition of each component",
    response_model_exclude_none=True,
    responses={
        200: {"description": "Every required component works."},
        503: {"model": DetailedHealth, "description": "A required component is down."},
    },
)
async def detailed(
    runtime: RuntimeDep, connection: ConnectionDep, indexes: IndexCheckDep, response: Response
) -> DetailedHealth:
    """The condition of the service and its components."""
    database = await database_component(connection, indexes)
    logs = logs_component(runtime.logs)
    if database.status == "down":
        response.status_code = 503
    return DetailedHealth(
        status=database.status if database.status != "ok" else logs.status,
        version=__version__,
        commit=runtime.settings.commit,
        uptime_seconds=round(runtime.lifecycle.uptime, 3),
        components=Components(database=database, logs=logs),
    )


async def database_component(connection: Connection, indexes: IndexCheck) -> Component:
    """The condition of the database."""
    try:
        latency, problem = await check_database(connection, indexes)
    except CredentialsError as error:
        return Component(status="down", detail=str(error))
    except PyMongoError as error:
        # The text of a driver's error may contain addresses, so only its type is shown.
        return Component(status="down", detail=f"no response ({type(error).__name__})")
    status: HealthStatus = "ok" if problem is None else "down"
    return Component(status=status, latency_ms=round(latency * 1000, 3), detail=problem)


def logs_component(logs: Logs) -> LogsComponent:
    """The condition of log delivery."""
    not_written = 0 if logs.queue is None else logs.queue.dropped
    cloudwatch = logs.cloudwatch
    if cloudwatch is None:
        return LogsComponent(
            status="ok", detail="standard output only", queued=0, dropped=not_written
        )
    return LogsComponent(
        status="ok" if cloudwatch.failure is None else "degraded",
        detail=cloudwatch.failure,
        queued=cloudwatch.queued,
        dropped=not_written + cloudwatch.dropped,
    )
