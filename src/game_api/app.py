"""The composition root: the only module that wires the others together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from game_api import __version__
from game_api.access.idempotency import KeyedRequest, KeyedRequests
from game_api.database.client import Database, Listener
from game_api.database.connection import Connection, MonitoredConnection, open_connection
from game_api.database.indexes import IndexCheck, IndexesFailed, create_indexes
from game_api.http import health
from game_api.http.access import Gate, open_gate
from game_api.http.dependencies import State
from game_api.http.dispatch import Dispatch
from game_api.http.docs import add_docs
from game_api.http.middleware import RequestContext
from game_api.http.problems import HANDLERS
from game_api.observability.reporting import DatabaseMonitor, reporting
from game_api.players import routes as players
from game_api.players.model import Player
from game_api.players.store import PlayerStore
from game_api.runtime import Runtime
from game_api.seats.claims import Claims
from game_api.sessions import routes as sessions
from game_api.sessions.model import Session
from game_api.sessions.store import SessionStore, schedule_purges
from game_api.settings import Settings

MODELS = (Player, Session, KeyedRequest)
"""The models whose indexes the database needs."""

DESCRIPTION = Path(__file__).with_name("description.md").read_text()
TAGS = [
    {"name": "players", "description": "The people who play, and the session each of them is in."},
    {"name": "sessions", "description": "Lobbies and matches: their settings, status and members."},
    {"name": "health", "description": "For load balancers, orchestrators and operators."},
]

REQUEST_HEADERS = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Request-ID",
]
RESPONSE_HEADERS = [
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
]
"""What pages of other origins may send and read, if CORS is on."""


async def prepare_database(database: Database, settings: Settings) -> list[str]:
    """Create the indexes, and let ended sessions expire that earlier versions have kept.

    Returns the names of the indexes. Raises IndexesFailed.
    """
    retention = timedelta(seconds=settings.session_retention)
    # The service needs the indexes more than it needs the purges, so they come first.
    try:
        names = await create_indexes(database, MODELS)
    except IndexesFailed:
        await schedule_purges(database, retention)
        raise
    await schedule_purges(database, retention)
    return names


def create_app(runtime: Runtime, uri: str, listeners: Sequence[Listener] = ()) -> FastAPI:
    """The service on the database at `uri`. `listeners` also receive the events of the driver."""
    settings, metrics = runtime.settings, runtime.metrics

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with (
            open_gate(settings) as gate,
            open_connection(settings, uri, runtime.logs.redact, listeners) as driver,
        ):
            connection = MonitoredConnection(driver, DatabaseMonitor(metrics))
            claims = Claims(connection)
            retention = timedelta(seconds=settings.session_retention)
            session_store = SessionStore(connection, claims, metrics, retention)
            keyed_requests = KeyedRequests(connection)
            async with (
                reporting(metrics, session_store.count_live),
                aclosing(session_store),
                aclosing(keyed_requests),
            ):
                yield State(
                    objects={
                        Runtime: runtime,
                        Gate: gate,
                        Connection: connection,
                        IndexCheck: IndexCheck(connection, MODELS),
                        PlayerStore: PlayerStore(connection, claims),
                        SessionStore: session_store,
                        KeyedRequests: keyed_requests,
                    }
                )

    app = FastAPI(
        title="game-api",
        version=__version__,
        summary="Players and game sessions, correct under any concurrency.",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        servers=[{"url": settings.root_path or "/", "description": "This service."}],
        contact={"name": "The game-api project"},
        license_info={"name": "MIT", "identifier": "MIT"},
        lifespan=lifespan,
        exception_handlers=HANDLERS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # It costs every request.
    )
    routers = (players.router, sessions.router, sessions.players_router, health.router)
    for router in routers:
        app.include_router(router)
    add_docs(app)
    # FastAPI's own middleware is inside, so that only what `Dispatch` passes on goes through it.
    stack: ASGIApp = Dispatch(app.build_middleware_stack(), routers)
    if settings.cors_origins:
        stack = CORSMiddleware(
            stack,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=REQUEST_HEADERS,
            expose_headers=RESPONSE_HEADERS,
        )
    app.middleware_stack = RequestContext(stack, metrics)
    return app
