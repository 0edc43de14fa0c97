"""The OpenAPI document: declared by the routes, completed here, so that it says what happens."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from game_api import errors
from game_api.errors import PROBLEM_JSON, ApiError

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]

REQUEST_ID = {
    "description": "The request's id: the client's own if it sent a valid one.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
}
ETAG = {"ETag": {"description": 'The version, in quotes: `"3"`.', "schema": {"type": "string"}}}
LOCATION = {"Location": {"description": "Where the new resource is.", "schema": {"type": "string"}}}
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
NOT_MODIFIED: Responses = {304: {"description": "It is as the client knows it.", "headers": ETAG}}


def problem_schema(error: type[ApiError]) -> Schema:
    """The JSON schema of the problem document of one error."""
    required = ["type", "title", "status", "detail", "code", "request_id", *error.members]
    return {
        "type": "object",
        "description": (error.__doc__ or "").strip(),
        "required": required,
        "properties": {
            "type": {"type": "string", "const": "about:blank"},
            "title": {"type": "string", "const": HTTPStatus(error.status).phrase},
            "status": {"type": "integer", "const": error.status},
            "detail": {"type": "string"},
            "code": {"type": "string", "const": error.code},
            "request_id": {"type": "string"},
            **error.members,
        },
    }


def problems(*kinds: type[ApiError]) -> Responses:
    """Declares the errors that a route may answer with, one response a status."""
    by_status: dict[int, list[type[ApiError]]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {
        status: {
            "description": " ".join(f"`{kind.code}`: {kind.__doc__}" for kind in these),
            "content": {
                PROBLEM_JSON: {
                    "schema": (
                        reference(these[0])
                        if len(these) == 1
                        else {"oneOf": [reference(kind) for kind in these]}
                    )
                }
            },
            **({"headers": RETRY_AFTER} if status == 503 else {}),
        }
        for status, these in by_status.items()
    }


def reference(kind: type[ApiError]) -> Schema:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def links(parameter: str, **operations: str) -> dict[str, Any]:
    """Links from a creation to what can be done with what it made."""
    return {
        name: {
            "operationId": operation,
            "parameters": {parameter: f"$response.body#/{parameter}"},
        }
        for name, operation in operations.items()
    }


def complete(app: FastAPI) -> Schema:
    """The document of an app: its routes' own, and what holds for all of them."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
        license_info=app.license_info,
    )
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, ApiError) and hasattr(kind, "code"):
            schemas[kind.__name__] = problem_schema(kind)
    for path in document["paths"].values():
        for operation in path.values():
            complete_operation(operation)
    return document


def complete_operation(operation: Schema) -> None:
    """Declare what any operation may answer with, and that null is no value of a parameter."""
    for parameter in operation.get("parameters", ()):
        match parameter["schema"]:
            case {"anyOf": [schema, {"type": "null"}], **rest}:
                parameter["schema"] = {**rest, **schema}
    responses = operation["responses"]
    common: list[type[ApiError]] = [errors.ValidationFailed, errors.InternalError]
    if "requestBody" in operation:
        common += [errors.BodyTooLarge, errors.UnsupportedMediaType]
    responses.pop("422", None)  # FastAPI's own form of it
    for status, response in problems(*common).items():
        responses.setdefault(str(status), response)
    for response in responses.values():
        response["headers"] = {**response.get("headers", {}), "X-Request-ID": REQUEST_ID}
    operation["responses"] = dict(sorted(responses.items()))
