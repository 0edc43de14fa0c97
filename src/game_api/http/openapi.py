"""The OpenAPI document: the routes declare their responses, and this module adds common ones.

Generators of clients cope best with one schema for all errors, named schemas, exact bounds of
integers, and parameters without unions, so `complete` gives the document of FastAPI that form.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from game_api.access.errors import (
    Forbidden,
    IdempotencyKeyReused,
    KeysUnavailable,
    RateLimited,
    RequestInProgress,
    Unauthenticated,
)
from game_api.access.policy import OPEN, permission_for
from game_api.errors import ApiError
from game_api.http import idempotency
from game_api.http.problems import (
    PROBLEM_JSON,
    BadRequest,
    BodyTooLarge,
    InternalError,
    MethodNotAllowed,
    NotFound,
    RequestHeadTooLarge,
    RequestTimeout,
    ShuttingDown,
    UnsupportedMediaType,
    ValidationFailed,
    title,
)

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]

SAMPLE_REQUEST_ID = "5f0c4c1f7e0b4c0e8a4b6f6a3c1d2e9b"
HEADERS: Schema = {
    "ETag": {"description": 'The version, in quotes: `"3"`.', "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true` if this is the answer to an earlier request with the same "
        "`Idempotency-Key`; otherwise absent.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Location": {"description": "The path of the new resource.", "schema": {"type": "string"}},
    "RateLimit": {
        "description": "What remains of the rate limit, and in how many seconds some of it "
        'returns: `"default";r=599;t=60`.',
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": "The rate limit, as a quota for a number of seconds: "
        '`"default";q=600;w=60`.',
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before trying again.",
        "schema": {"type": "integer"},
    },
    "WWW-Authenticate": {
        "description": '`Bearer`, with `error="invalid_token"` if there was a token.',
        "schema": {"type": "string"},
    },
    "X-Request-ID": {
        "description": "The id of the request: the client's own, if it sent a valid one.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
    },
}

PROBLEM_HEADERS = {
    401: ["WWW-Authenticate"],
    409: ["Retry-After"],
    429: ["Retry-After"],
    503: ["Retry-After"],
}
"""The headers of errors with these statuses."""
LIMITS = ("RateLimit", "RateLimit-Policy")
"""The headers of every response of an operation that a rate limit applies to."""
TOKEN: Schema = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "A token that names the caller in `sub` and has one of the roles `player`, "
    "`server` and `admin`. A service that runs locally needs none by default.",
}


def headers(*names: str) -> Schema:
    """References to the descriptions of these headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


ETAG = headers("ETag")
LOCATION = headers("Location")
NOT_MODIFIED: Responses = {304: {"description": "The client's copy is current.", "headers": ETAG}}

PROBLEM: Schema = {
    "type": "object",
    "description": "Why a request was refused or failed (RFC 9457). Later versions may add members "
    "and codes. Which of the optional members are present depends on `code`.",
    "required": ["type", "title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string", "examples": ["about:blank"]},
        "title": {"type": "string", "description": "The meaning of the status."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "An explanation for people."},
        "code": {
            "type": "string",
            "description": "What happened, as a stable word for programs. Treat an unknown code "
            "like its status.",
            "examples": ["session_full"],
        },
        "request_id": {"type": "string", "description": "The same as `X-Request-ID`."},
    },
}
FIELD_ERROR: Schema = {
    "type": "object",
    "description": "One mistake in a request.",
    "required": ["loc", "msg", "type"],
    "properties": {
        "loc": {
            "type": "array",
            "description": "The path to the mistake, such as `body`, `player_ids`, `0`.",
            "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        },
        "msg": {"type": "string", "description": "An explanation for people."},
        "type": {"type": "string", "description": "The kind of mistake."},
    },
}


def problems(*kinds: type[ApiError]) -> Responses:
    """The responses of a route that may fail with these errors, one for each status."""
    by_status: dict[int, list[type[ApiError]]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {
        status: {
            "description": " ".join(f"`{kind.code}`: {meaning(kind)}" for kind in same_status),
            "content": problem_content(*same_status),
            "headers": headers(*PROBLEM_HEADERS.get(status, ())),
        }
        for status, same_status in by_status.items()
    }


def problem_content(*kinds: type[ApiError]) -> dict[str, Any]:
    """The content of a response that shows one of these errors."""
    return {
        PROBLEM_JSON: {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "examples": {
                kind.code: {"$ref": f"#/components/examples/{kind.__name__}"} for kind in kinds
            },
        }
    }


def meaning(kind: type[ApiError]) -> str:
    """What the error means: the first paragraph of its docstring."""
    return " ".join((kind.__doc__ or "").partition("\n\n")[0].split())


def sample(kind: type[ApiError]) -> Schema:
    """A problem document of this kind."""
    return {
        "type": "about:blank",
        "title": title(kind.status),
        "status": kind.status,
        "detail": meaning(kind),
        "code": kind.code,
        "request_id": SAMPLE_REQUEST_ID,
        **{
            name: schema["examples"][0]
            for name, schema in kind.members.items()
            if "examples" in schema
        },
    }


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
    """The document of the app, with the schema of errors and the common responses."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=f"{app.description}\n\n{code_table()}",
        routes=app.routes,
        tags=app.openapi_tags,
        servers=app.servers,
        contact=app.contact,
        license_info=app.license_info,
    )
    document["security"] = [{"token": []}]
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for schema in schemas.values():
        remove_titles(schema)
    schemas["Problem"] = problem_schema()
    schemas["FieldError"] = FIELD_ERROR
    for path in document["paths"].values():
        for method, operation in path.items():
            complete_operation(operation, common_problems(method, operation))
            if method == "post":
                add_idempotency(operation)
    document["components"] = {
        "schemas": dict(sorted(schemas.items())),
        "examples": {
            kind.__name__: {"summary": meaning(kind), "value": sample(kind)}
            for kind in error_kinds()
        },
        "headers": HEADERS,
        "securitySchemes": {"token": TOKEN},
    }
    for number in numbers(document):
        complete_number(number)
    return document


def error_kinds(base: type[ApiError] = ApiError) -> Iterator[type[ApiError]]:
    """Every kind of error that has a code, across all features."""
    for kind in base.__subclasses__():
        if hasattr(kind, "code"):
            yield kind
        yield from error_kinds(kind)


def code_table() -> str:
    """Every code with its status and meaning, as a Markdown section."""
    kinds = sorted(error_kinds(), key=lambda kind: (kind.status, kind.code))
    rows = [f"| {kind.status} | `{kind.code}` | {meaning(kind)} |" for kind in kinds]
    return "\n".join(["## Codes", "", "| status | code | meaning |", "|---|---|---|", *rows])


def problem_schema() -> Schema:
    """The schema of every error: the common members, and those that some kinds add."""
    properties = dict(PROBLEM["properties"])
    for kind in error_kinds():
        properties |= kind.members
    return {**PROBLEM, "properties": properties}


def common_problems(method: str, operation: Schema) -> list[type[ApiError]]:
    """The errors of an operation that its route does not declare itself."""
    common: list[type[ApiError]] = [ValidationFailed, InternalError]
    if "requestBody" in operation:
        common += [BodyTooLarge, UnsupportedMediaType, RequestTimeout]
    if permission_for(operation["operationId"]) is not OPEN:
        common += [Unauthenticated, Forbidden, RateLimited, KeysUnavailable]
    if method == "post":
        common += [RequestInProgress, IdempotencyKeyReused]
    return common


def complete_operation(operation: Schema, common: Sequence[type[ApiError]]) -> None:
    """Add the responses that every operation may give, and remove null from what may be absent."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        schema.pop("title", None)
        schema.pop("description", None)  # The parameter itself has it.
        without_null(schema)
        # The documentation fills in the examples, which would only narrow an optional parameter.
        if (examples := schema.pop("examples", None)) and parameter["required"]:
            parameter["example"] = examples[0]
    for body in operation.get("requestBody", {}).get("content", {}).values():
        without_null(body["schema"])
        body["schema"].pop("title", None)
    responses = operation["responses"]
    responses.pop("422", None)  # FastAPI's own description of a validation error.
    for status, response in problems(*common).items():
        add_response(responses, str(status), response)
    operation["description"] += f"\n\n{code_list(responses)}"
    responses["default"] = {
        "description": "Any other error. Later versions may add statuses and codes.",
        "content": problem_content(
            NotFound,
            MethodNotAllowed,
            BadRequest,
            RequestTimeout,
            RequestHeadTooLarge,
            ShuttingDown,
        ),
    }
    limits = LIMITS if RateLimited in common else ()
    if not limits:
        operation["security"] = []
    for response in responses.values():
        response["headers"] = {**response.get("headers", {}), **headers(*limits, "X-Request-ID")}
    operation["responses"] = dict(sorted(responses.items()))


def add_idempotency(operation: Schema) -> None:
    """Describe the header `Idempotency-Key`, and what is answered because of it."""
    operation.setdefault("parameters", []).append(
        {
            "name": idempotency.NAME,
            "in": "header",
            "required": False,
            "description": "Repeat the request with the same key and body, within 24 hours, to get "
            "the first answer without a second effect. A UUID for each new request is a good key.",
            "schema": {"type": "string", "pattern": idempotency.PATTERN},
        }
    )
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            response["headers"] |= headers("Idempotent-Replayed")


def add_response(responses: Schema, status: str, response: Schema) -> None:
    """Add a response with errors, or these errors to the response that has the same status."""
    existing = responses.setdefault(status, response)
    if existing is not response:
        existing["description"] += f" {response['description']}"
        content = existing["content"][PROBLEM_JSON]
        content["examples"] |= response["content"][PROBLEM_JSON]["examples"]
        existing["headers"] |= response["headers"]


def code_list(responses: Schema) -> str:
    """The codes of the errors that an operation declares, as a line of Markdown."""
    codes = [
        f"`{code}` ({status})"
        for status, response in sorted(responses.items())
        for code in response.get("content", {}).get(PROBLEM_JSON, {}).get("examples", ())
    ]
    return f"Codes: {', '.join(codes)}."


def without_null(schema: Schema) -> None:
    """Reduce `anyOf` with null to the other schema. Null stands for an absent value there."""
    match schema.get("anyOf"):
        case [other, {"type": "null"}]:
            del schema["anyOf"]
            schema |= other


def remove_titles(schema: Schema) -> None:
    """Remove the titles of properties, from which generators derive names of types."""
    for part in schema.get("properties", {}).values():
        part.pop("title", None)


def numbers(part: Any) -> Iterator[Schema]:
    """The schemas of integers and other numbers in a part of the document."""
    if isinstance(part, dict):
        if part.get("type") in ("integer", "number"):
            yield part
        for value in part.values():
            yield from numbers(value)
    elif isinstance(part, list):
        for value in part:
            yield from numbers(value)


def complete_number(schema: Schema) -> None:
    """Add the format, and make the bounds of an integer exact, which FastAPI turns into floats."""
    if schema["type"] == "number":
        schema["format"] = "double"
        return
    for name in ("minimum", "maximum"):
        if name in schema:
            schema[name] = min(int(schema[name]), 2**63 - 1)
    wide = max((abs(schema.get(name, 0)) for name in ("minimum", "maximum"))) >= 2**31
    schema.setdefault("format", "int64" if wide else "int32")
