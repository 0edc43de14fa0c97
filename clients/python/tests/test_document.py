"""The client and the OpenAPI document of the service agree."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from game_api_client import AsyncGameApi, GameApi, PlayerFilters, SessionFilters

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src/game_api_client"


@pytest.fixture(scope="module")
def document(url: str) -> httpx.Response:
    return httpx.get(f"{url}/openapi.json").raise_for_status()


@pytest.fixture(scope="module")
def operations(document: httpx.Response) -> dict[str, dict[str, Any]]:
    """The operations on players and sessions, by their id in snake case."""
    return {
        re.sub("([A-Z])", r"_\1", operation["operationId"]).lower(): operation
        for path, methods in document.json()["paths"].items()
        for operation in methods.values()
        if path.startswith("/api/v1/") and "operationId" in operation
    }


def test_the_generated_files_are_current(document: httpx.Response, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_bytes(document.content)
    subprocess.run(
        [sys.executable, ROOT / "generate", tmp_path],
        check=True,
        env={**os.environ, "GAME_API_OPENAPI": str(tmp_path / "openapi.json")},
    )
    for name in ("models.py", "sync_client.py", "sync_tokens.py"):
        assert (tmp_path / name).read_text() == (PACKAGE / name).read_text(), name


def test_every_operation_is_a_method(operations: dict[str, dict[str, Any]]) -> None:
    assert len(operations) >= 14
    for client in (AsyncGameApi, GameApi):
        assert [name for name in operations if not hasattr(client, name)] == []


@pytest.mark.parametrize(
    ("operation", "filters"),
    [("list_players", PlayerFilters), ("list_sessions", SessionFilters)],
)
def test_every_filter_of_a_list_can_be_passed(
    operations: dict[str, dict[str, Any]], operation: str, filters: type
) -> None:
    parameters = {parameter["name"] for parameter in operations[operation]["parameters"]}
    # The repeated parameter `attribute` is the mapping `attributes`.
    names = {
        name.removesuffix("s") if name == "attributes" else name for name in filters.__annotations__
    }
    assert names | {"cursor"} == parameters
