"""What the service loads when it starts, and what it leaves out."""

import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import httpx2
import pytest

from tests.service import Service

Start = Callable[..., Service]

SECRET = "a secret of a test with at least 32 characters"
UNUSED = {
    "boto3",  # Only with a secret in AWS Secrets Manager, or with logs in CloudWatch.
    "botocore",
    "dns",  # Only with a mongodb+srv:// name.
    "fastapi_cli",
    "game_api.access.published",  # Only with the URL of a key set.
    "game_api.database.credentials",
    "game_api.database.rotation",
    "game_api.observability.cloudwatch",
    "httpx2",
    "jinja2",
    "rich",
    "secantus",  # The embedded database is a process of its own.
    "typer",
    "watchtower",
    "yaml",
}
"""Modules that the service does not need with an external database and a shared secret."""


def test_modules_that_the_settings_do_not_need_are_not_imported(
    start_service: Start, service_database: str
) -> None:
    service = start_service(
        GAME_API_AUTH="jwt",
        GAME_API_JWT_SECRET=SECRET,
        GAME_API_LOG_FORMAT="json",
        GAME_API_MONGODB_URI=service_database,
        PYTHONPROFILEIMPORTTIME="1",
    ).wait_until_ready()
    assert httpx2.get(f"{service.address}/health").status_code == 200
    assert service.terminate() == 0
    imported = set(re.findall(r"^import time:.*\| +(\S+)$", service.output, re.MULTILINE))
    assert {"fastapi", "pymongo", "game_api.app"} <= imported
    assert imported & UNUSED == set()


def test_the_garbage_collector_does_not_visit_what_was_loaded_at_the_start(
    start_service: Start, service_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Service, "module", "tests.frozen_objects")
    service = start_service(GAME_API_MONGODB_URI=service_database).wait_until_ready()
    assert service.terminate() == 0
    found = re.search(r"^frozen objects: (\d+)$", service.output, re.MULTILINE)
    assert found and int(found[1]) > 50_000, service.output


async def test_a_request_does_not_look_for_opentelemetry(api: httpx2.AsyncClient) -> None:
    called = set()

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        called.add(frame.f_globals.get("__name__"))

    sys.setprofile(profile)
    try:
        response = await api.get("/health")
    finally:
        sys.setprofile(None)
    assert response.status_code == 200
    assert "game_api.http.health" in called
    assert "opentelemetry.trace" not in called
