"""The OpenAPI document: its content, and its verification with schemathesis."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from game_api.http.openapi import error_kinds
from tests.service import Service

Start = Callable[..., Service]
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
async def document(api: httpx2.AsyncClient) -> dict[str, Any]:
    document: dict[str, Any] = (await api.get("/openapi.json")).json()
    return document


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """The method, path and description of each operation."""
    return [(m, p, o) for p, item in document["paths"].items() for m, o in item.items()]


@pytest.mark.timeout(300)
def test_schemathesis_finds_no_failure(
    start_service: Start, service_database: str, tmp_path: Path
) -> None:
    """It runs all of its phases: examples, coverage, fuzzing and stateful tests."""
    service = start_service(GAME_API_MONGODB_URI=service_database).wait_until_ready()
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", str(ROOT / "schemathesis.toml"), "run"),
        f"{service.address}/openapi.json",
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "40"),
        *("--workers", "2", "--generation-database", "none"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    print(result.stdout)
    assert result.returncode == 0, result.stdout + result.stderr
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"\u2705 {phase}" in result.stdout, f"{phase} did not run"
    generated = re.search(r"(\d+) generated", result.stdout)
    assert generated and int(generated[1]) > 500
    assert "Traceback" not in service.output


async def test_every_operation_has_an_id_a_summary_and_its_errors(
    document: dict[str, Any],
) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids)) == 17
    for _, path, operation in operations(document):
        responses = operation["responses"]
        assert operation["summary"] and operation["description"]
        assert {"422", "500"} <= set(responses)
        assert ("503" in responses) == (path != "/health")
        assert ({"408", "413", "415"} <= set(responses)) == ("requestBody" in operation)
        for status, response in responses.items():
            assert "X-Request-ID" in response["headers"]
            if int(status) >= 400 and path != "/health/detailed":
                assert list(response["content"]) == ["application/problem+json"]


async def test_every_error_of_the_service_is_declared_somewhere(document: dict[str, Any]) -> None:
    declared = set(re.findall(r"#/components/schemas/(\w+)", str(document["paths"])))
    kinds = {kind.__name__ for kind in error_kinds()}
    assert kinds <= set(document["components"]["schemas"])
    # No operation declares these two, because they are for unknown paths and methods.
    assert kinds - declared == {"NotFound", "MethodNotAllowed"}


async def test_creations_link_to_the_operations_on_the_new_resource(
    document: dict[str, Any],
) -> None:
    ids = {operation["operationId"] for _, _, operation in operations(document)}
    for path in ("/api/v1/players", "/api/v1/sessions"):
        links = document["paths"][path]["post"]["responses"]["201"]["links"]
        assert {"get", "update"} <= set(links)
        assert all(link["operationId"] in ids for link in links.values())


async def test_path_parameters_have_their_documented_names(document: dict[str, Any]) -> None:
    names = {name for path in document["paths"] for name in re.findall(r"{(\w+)}", path)}
    assert names == {"player_id", "session_id"}


async def test_bodies_have_examples_and_refuse_unknown_fields(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for _, _, operation in operations(document):
        if "requestBody" in operation:
            reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            schema = schemas[reference.rpartition("/")[2]]
            assert schema["additionalProperties"] is False
            assert "examples" in str(schema)
