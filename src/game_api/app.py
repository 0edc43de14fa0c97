"""The composition root: the only place that wires things."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from game_api import __version__, errors, health, openapi
from game_api.connection import Connection, connection
from game_api.logs import Logs
from game_api.metrics import Metrics
from game_api.middleware import RequestContext
from game_api.monitoring import DatabaseMonitor, Listener, reporting
from game_api.players.routes import router as players_router
from game_api.players.store import PlayerStore
from game_api.sessions.claims import Claims
from game_api.sessions.routes import router as sessions_router
from game_api.sessions.store import SessionStore
from game_api.settings import Settings

DESCRIPTION = (
    "Players and game sessions, right under any concurrency. Errors are "
    "`application/problem+json` with a stable `code`. Every resource has a `version`, which is "
    "its ETag."
)


class Process:
    """What there is once in a process: its metrics, its logs, and where it stands in its life."""

    def __init__(self, metrics: Metrics | None = None, logs: Logs | None = None) -> None:
        self.metrics = metrics or Metrics()
        self.logs = logs or Logs()
        self.started = time.monotonic()
        self.stopping = False


class State(TypedDict):
    """What a request finds in `request.state`."""

    settings: Settings
    process: Process
    connection: Connection
    players: PlayerStore
    sessions: SessionStore


def create_app(
    settings: Settings, uri: str, process: Process, listeners: Sequence[Listener] = ()
) -> FastAPI:
    """The service on the database at `uri`; `listeners` also hear what its driver does."""
    metrics = process.metrics

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        heard_by = [DatabaseMonitor(metrics), *listeners]
        opened = connection(settings, uri, process.logs, event_listeners=heard_by)
        async with opened as database:
            claims = Claims(database)
            sessions = SessionStore(database, claims, metrics)
            async with reporting(metrics, sessions):
                yield State(
                    settings=settings,
                    process=process,
                    connection=database,
                    players=PlayerStore(database, claims),
                    sessions=sessions,
                )

    app = FastAPI(
        title="game-api",
        version=__version__,
        summary="Players and game sessions.",
        description=DESCRIPTION,
        lifespan=lifespan,
        exception_handlers=errors.HANDLERS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(RequestContext, metrics=metrics)
    for router in (players_router, sessions_router, health.router):
        app.include_router(router)
    add_docs(app)
    return app


def add_docs(app: FastAPI) -> None:
    """Swagger UI at /docs, its assets from a package, and the completed OpenAPI document."""
    assets = Path(fastapi_offline.__file__).parent / "static"
    app.mount("/docs/assets", StaticFiles(directory=assets), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=f"{app.title} {app.version}",
            swagger_js_url="/docs/assets/swagger-ui-bundle.js",
            swagger_css_url="/docs/assets/swagger-ui.css",
            swagger_favicon_url="/docs/assets/favicon.png",
        )

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = openapi.complete(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it
