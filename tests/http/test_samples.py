"""The samples of the OpenAPI document can be sent as they are, and its examples are valid."""

from typing import Any

import httpx2
import jsonschema_rs
import pytest

ORDER = (
    "createPlayer createSession joinSession updateMember joinSessionAsParty updateSession "
    "updatePlayer getPlayer getPlayerSession listPlayers getSession listSessions leaveSession "
    "deletePlayer getHealth getReadiness getDetailedHealth"
).split()
"""Every operation, each after those that create what it needs."""


@pytest.fixture
async def document(api: httpx2.AsyncClient) -> dict[str, Any]:
    document: dict[str, Any] = (await api.get("/openapi.json")).json()
    return document


def sample_of(document: dict[str, Any], operation: dict[str, Any]) -> Any:
    """The body that the documentation shows for the operation; None without a body."""
    if "requestBody" not in operation:
        return None
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return document["components"]["schemas"][reference.rpartition("/")[2]]["examples"][0]


async def test_every_sample_is_accepted(api: httpx2.AsyncClient, document: dict[str, Any]) -> None:
    operations = {
        operation["operationId"]: (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }
    assert sorted(operations) == sorted(ORDER)
    await api.post("/api/v1/players", json={"player_id": "bob", "username": "Bob"})
    versions: dict[str, int] = {}
    session_id = ""
    for name in ORDER:
        method, path, operation = operations[name]
        for parameter in operation.get("parameters", ()):
            if parameter["required"]:
                # The sample of a session id can't exist: the service makes the ids of sessions.
                created = session_id if parameter["name"] == "session_id" else None
                path = path.replace(f"{{{parameter['name']}}}", created or parameter["example"])
        response = await api.request(method, path, json=sample_of(document, operation))
        assert response.is_success, (name, response.text)
        if name == "createSession":
            session_id = response.json()["session_id"]
        if name.startswith("update"):  # The sample of a change changes something.
            kind = "player" if name == "updatePlayer" else "session"
            assert response.json()["version"] > versions[kind]
        if name != "leaveSession" and "etag" in response.headers:
            kind = "player" if "Player" in name and "Session" not in name else "session"
            versions[kind] = response.json()["version"]


async def test_every_example_matches_its_schema(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    checked = 0
    for name, schema in schemas.items():
        reference = {
            "$ref": f"#/components/schemas/{name}",
            "components": {"schemas": schemas},
        }
        for example in schema.get("examples", ()):
            jsonschema_rs.validator_for(reference).validate(example)
            checked += 1
    assert checked >= 10
    problem = {"$ref": "#/components/schemas/Problem", "components": {"schemas": schemas}}
    for example in document["components"]["examples"].values():
        jsonschema_rs.validator_for(problem).validate(example["value"])


async def test_the_responses_of_resources_have_examples(document: dict[str, Any]) -> None:
    for name in ("Player", "Session"):
        schema = document["components"]["schemas"][name]
        (example,) = schema["examples"]
        assert set(example) == set(schema["properties"])
