"""Runs an app in the process of the tests, without a server."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send


@dataclass
class RunningApp:
    """An app whose lifespan has started, and a client of it."""

    client: httpx2.AsyncClient
    objects: Mapping[type, Any]


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[RunningApp]:
    """Run the lifespan of the app. Each request gets its state, as a server would pass it on."""
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx2.ASGITransport(with_state)
        async with httpx2.AsyncClient(transport=transport, base_url="http://game-api") as client:
            yield RunningApp(client, (state or {}).get("objects", {}))
