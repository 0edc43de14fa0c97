"""Health: alive, ready, and how the parts do."""

import time

import httpx2

from game_api.app import Process, create_app
from game_api.settings import Settings
from tests.conftest import with_state

Api = httpx2.AsyncClient


async def test_the_parts_are_well(api: Api) -> None:
    health = (await api.get("/health")).json()
    assert health == {"status": "ok", "version": "0.1.0", "commit": "unknown"}
    assert (await api.get("/health/ready")).json() == {"status": "ok"}
    detailed = (await api.get("/health/detailed")).json()
    assert detailed["status"] == "ok" and detailed["uptime_seconds"] >= 0
    assert detailed["components"]["database"]["status"] == "ok"
    assert detailed["components"]["database"]["latency_ms"] > 0
    assert detailed["components"]["logs"]["status"] == "ok"


async def test_readiness_ends_when_shutdown_begins(api: Api, process: Process) -> None:
    process.stopping = True
    response = await api.get("/health/ready")
    assert (response.status_code, response.json()["code"]) == (503, "shutting_down")
    assert (await api.get("/health")).status_code == 200


async def test_without_its_database_the_service_lives_but_is_not_ready(
    process: Process,
) -> None:
    # checkov:skip=CKV_SECRET_4:made up
    app = create_app(Settings(), "mongodb://user:hunter2@127.0.0.1:1/", process)
    async with app.router.lifespan_context(app) as state:
        transport = httpx2.ASGITransport(with_state(app, dict(state or {})))
        async with Api(transport=transport, base_url="http://game-api") as api:
            assert (await api.get("/health")).status_code == 200
            started = time.monotonic()
            ready = await api.get("/health/ready")
            assert (ready.status_code, ready.json()["code"]) == (503, "database_unavailable")
            assert time.monotonic() - started < 3
            detailed = await api.get("/health/detailed")
            assert detailed.status_code == 503
            assert detailed.json()["status"] == "down"
            assert detailed.json()["components"]["database"]["status"] == "down"
            assert "hunter2" not in detailed.text and "127.0.0.1" not in detailed.text
