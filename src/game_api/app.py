"""The composition root: the only place that wires things."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypedDict

import fastapi_offline
from fastapi import APIRouter, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from game_api import __version__, errors, health, openapi
from game_api.database import Client, connect
from game_api.middleware import RequestContext
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


class Lifetime:
    """When the process started, and whether it is about to stop."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.stopping = False


class State(TypedDict):
    """What a request finds in `request.state`."""

    settings: Settings
    lifetime: Lifetime
    client: Client
    players: PlayerStore
    sessions: SessionStore


def create_app(settings: Settings, uri: str, lifetime: Lifetime, **driver: Any) -> FastAPI:
    """The service on the database at `uri`; `driver` holds further options for its client."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with connect(uri, **driver) as client:
            database = client.get_default_database(settings.database)
            claims = Claims(database)
            yield State(
                settings=settings,
                lifetime=lifetime,
                client=client,
                players=PlayerStore(database, claims),
                sessions=SessionStore(database, claims),
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
    app.add_middleware(RequestContext)
    api = APIRouter(prefix="/api/v1")
    api.include_router(players_router)
    api.include_router(sessions_router)
    app.include_router(api)
    app.include_router(health.router)
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
