"""Health: liveness, readiness, and the condition of each component."""

import time

import httpx2

from game_api.app import MODELS, create_app
from game_api.database.client import Database
from game_api.database.indexes import create_indexes
from game_api.runtime import Runtime
from tests.apps import running

Api = httpx2.AsyncClient


async def test_every_component_is_ok(api: Api) -> None:
    health = (await api.get("/health")).json()
    assert health == {"status": "ok", "version": "0.1.0", "commit": "unknown"}
    assert (await api.get("/health/ready")).json() == {"status": "ok"}
    detailed = (await api.get("/health/detailed")).json()
    assert detailed["status"] == "ok" and detailed["uptime_seconds"] >= 0
    assert detailed["components"]["database"]["status"] == "ok"
    assert detailed["components"]["database"]["latency_ms"] > 0
    assert detailed["components"]["logs"]["status"] == "ok"


async def test_a_database_without_its_unique_index_is_not_ready(
    uri: str, database: Database, runtime: Runtime
) -> None:
    """Two players could get the same username. The process becomes ready with the index."""
    await database.players.drop_indexes()
    async with running(create_app(runtime, uri)) as app:
        ready = await app.client.get("/health/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "database_unavailable")
        assert "players.username_key" in ready.json()["detail"]
        detailed = await app.client.get("/health/detailed")
        component = detailed.json()["components"]["database"]
        assert (detailed.status_code, component["status"]) == (503, "down")
        assert component["detail"] == ready.json()["detail"]
        await create_indexes(database, MODELS)
        assert (await app.client.get("/health/ready")).status_code == 200
        assert (await app.client.get("/health/detailed")).json()["status"] == "ok"


async def test_readiness_ends_when_shutdown_begins(api: Api, runtime: Runtime) -> None:
    runtime.lifecycle.shutdown.set()
    response = await api.get("/health/ready")
    assert (response.status_code, response.json()["code"]) == (503, "shutting_down")
    assert (await api.get("/health")).status_code == 200


async def test_without_a_database_the_service_is_alive_but_not_ready(runtime: Runtime) -> None:
    # checkov:skip=CKV_SECRET_4:made up
    app = create_app(runtime, "mongodb://user:hunter2@127.0.0.1:1/")
    async with running(app) as started:
        api = started.client
        assert (await api.get("/health")).status_code == 200
        before = time.monotonic()
        ready = await api.get("/health/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "database_unavailable")
        assert time.monotonic() - before < 3
        detailed = await api.get("/health/detailed")
        assert detailed.status_code == 503
        assert detailed.json()["status"] == "down"
        assert detailed.json()["components"]["database"]["status"] == "down"
        assert "hunter2" not in detailed.text and "127.0.0.1" not in detailed.text
