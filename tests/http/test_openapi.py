"""The OpenAPI document: its content, and its verification with schemathesis."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from game_api.http.openapi import error_kinds, numbers
from game_api.sessions.model import TRANSITIONS
from tests.access.minting import SECRET, token
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
    service = start_service(
        GAME_API_MONGODB_URI=service_database,
        GAME_API_AUTH="jwt",
        GAME_API_JWT_SECRET=SECRET,
        GAME_API_RATE_LIMIT="off",
        GAME_API_AUTH_FAILURE_LIMIT="off",
    ).wait_until_ready()
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", str(ROOT / "schemathesis.toml"), "run"),
        f"{service.address}/openapi.json",
        *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "40"),
        *("--workers", "2", "--generation-database", "none"),
        *("--header", f"Authorization: Bearer {token('admin', 'admin')}"),
    ]
    outsider = token("somebody-who-takes-part-in-nothing", "player")
    # It imports a module of the tests.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OUTSIDERS_TOKEN": outsider}
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
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
        assert {"422", "500", "default"} <= set(responses)
        assert ("503" in responses) == (path != "/health")
        assert ({"408", "413", "415"} <= set(responses)) == ("requestBody" in operation)
        for status, response in responses.items():
            assert "X-Request-ID" in response["headers"]
            assert response["description"] != "Successful Response"
            if status == "default" or int(status) >= 400 and path != "/health/detailed":
                content = response["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert len(response["content"]) == 1
            assert ("content" in response) == (status not in ("204", "304"))


async def test_every_code_is_in_the_description_and_has_an_example(
    document: dict[str, Any],
) -> None:
    declared = set(re.findall(r"#/components/examples/(\w+)", str(document["paths"])))
    kinds = {kind.__name__: kind for kind in error_kinds()}
    assert set(kinds) == declared
    problem = document["components"]["schemas"]["Problem"]
    for name, kind in kinds.items():
        assert f"| {kind.status} | `{kind.code}` | " in document["info"]["description"]
        value = document["components"]["examples"][name]["value"]
        assert (value["status"], value["code"]) == (kind.status, kind.code)
        assert set(problem["required"]) <= set(value) <= set(problem["properties"])
        assert set(kind.members) - set(value) <= {"more_errors"}
    for _, _, operation in operations(document):
        for status, response in operation["responses"].items():
            if status == "default":  # What may happen to any request is in the introduction.
                continue
            for code in (
                response.get("content", {}).get("application/problem+json", {}).get("examples", ())
            ):
                assert f"`{code}` (" in operation["description"]


async def test_the_description_shows_the_status_machine(document: dict[str, Any]) -> None:
    rows = re.findall(
        r"^\| (`\w+`.*?) \| (.*?) ?\| (.*) \|$", document["info"]["description"], re.M
    )
    shown = {
        source: tuple(re.findall(r"`(\w+)`", targets))
        for sources, targets, _ in rows
        for source in re.findall(r"`(\w+)`", sources)
    }
    assert {source: shown[source] for source in TRANSITIONS} == TRANSITIONS


async def test_generators_find_exact_and_named_schemas(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert {"Player", "PlayerCreate", "PlayerUpdate", "PlayerPage", "Problem"} <= set(schemas)
    assert {"Session", "SessionCreate", "SessionUpdate", "SessionPage"} <= set(schemas)
    assert {"Attributes", "AttributeValue", "SessionStatus", "Visibility"} <= set(schemas)
    text = json.dumps(document)
    assert "patternProperties" not in text and "9.22" not in text
    limits = {"int32": 2**31, "int64": 2**63, "double": float("inf")}
    for number in numbers(document):
        limit = limits[number["format"]]
        assert (number["type"] == "number") == (number["format"] == "double")
        for bound in ("minimum", "maximum"):
            assert type(number.get(bound, 0)) is int and -limit <= number.get(bound, 0) < limit
    for _, _, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            assert not {"anyOf", "oneOf", "const"} & set(parameter["schema"]), parameter


async def test_responses_may_gain_members(document: dict[str, Any]) -> None:
    """Clients that refuse unknown members would break with the next version."""
    schemas = document["components"]["schemas"]
    for name in ("Player", "Session", "Member", "GameServer", "PlayerPage", "Problem", "Health"):
        assert schemas[name].get("additionalProperties", True) is True


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
