"""The OpenAPI document: the routes declare their responses, and this module adds common ones."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from game_api.errors import ApiError
from game_api.http.problems import (
    PROBLEM_JSON,
    BodyTooLarge,
    InternalError,
    RequestTimeout,
    UnsupportedMediaType,
    ValidationFailed,
)

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]

REQUEST_ID = {
    "description": "The id of the request: the client's own, if it sent a valid one.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
}
ETAG = {"ETag": {"description": 'The version, in quotes: `"3"`.', "schema": {"type": "string"}}}
LOCATION = {
    "Location": {"description": "The path of the new resource.", "schema": {"type": "string"}}
}
RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds to wait before trying again.",
        "schema": {"type": "integer"},
    }
}
NOT_MODIFIED: Responses = {304: {"description": "The client's copy is current.", "headers": ETAG}}


def problem_schema(error: type[ApiError]) -> Schema:
    """The JSON schema of the problem document for one kind of error."""
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
    """The responses of a route that may fail with these errors, one for each status."""
    by_status: dict[int, list[type[ApiError]]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {
        status: {
            "description": " ".join(f"`{kind.code}`: {kind.__doc__}" for kind in same_status),
            "content": {
                PROBLEM_JSON: {
                    "schema": (
                        reference(same_status[0])
                        if len(same_status) == 1
                        else {"oneOf": [reference(kind) for kind in same_status]}
                    )
                }
            },
            **({"headers": RETRY_AFTER} if status == 503 else {}),
        }
        for status, same_status in by_status.items()
    }


def reference(kind: type[ApiError]) -> Schema:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def links(parameter: str, **operations: str) -> dict[str, Any]:
    """Links from the response of a creation to the operations on the new resource."""
    return {
        name: {
            "operationId": operation,
            "parameters": {parameter: f"$response.body#/{parameter}"},
        }
        for name, operation in operations.items()
    }


def complete(app: FastAPI) -> Schema:
    """The document of the app, with the error schemas and the common responses."""
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
    for kind in error_kinds():
        schemas[kind.__name__] = problem_schema(kind)
    for path in document["paths"].values():
        for operation in path.values():
            complete_operation(operation)
    return document


def error_kinds(base: type[ApiError] = ApiError) -> Iterator[type[ApiError]]:
    """Every kind of error that has a code, across all features."""
    for kind in base.__subclasses__():
        if hasattr(kind, "code"):
            yield kind
        yield from error_kinds(kind)


def complete_operation(operation: Schema) -> None:
    """Add the responses that every operation may give, and remove null from parameters."""
    for parameter in operation.get("parameters", ()):
        match parameter["schema"]:
            case {"anyOf": [schema, {"type": "null"}], **rest}:
                parameter["schema"] = {**rest, **schema}
    responses = operation["responses"]
    common: list[type[ApiError]] = [ValidationFailed, InternalError]
    if "requestBody" in operation:
        common += [BodyTooLarge, UnsupportedMediaType, RequestTimeout]
    responses.pop("422", None)  # FastAPI's own description of a validation error.
    for status, response in problems(*common).items():
        responses.setdefault(str(status), response)
    for response in responses.values():
        response["headers"] = {**response.get("headers", {}), "X-Request-ID": REQUEST_ID}
    operation["responses"] = dict(sorted(responses.items()))
