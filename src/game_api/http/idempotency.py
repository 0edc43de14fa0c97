"""The header `Idempotency-Key`: a repeated POST has its effect once, and gets the first answer."""

import re
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from game_api.access.caller import Caller
from game_api.access.creation import Creation
from game_api.access.idempotency import Answer, Attempt, KeyedRequests
from game_api.http.body import ReadRequest
from game_api.http.dependencies import object_of
from game_api.http.problems import ValidationFailed, response_to
from game_api.http.steps import Handler

NAME = "Idempotency-Key"
PATTERN = r"^[!-~]([ -~]{0,62}[!-~])?$"
"""1-64 printable ASCII characters. HTTP removes white space around the value of a header."""
KEPT_STATUSES = {404, 409, 412, 422}
"""The statuses of errors that a repetition replays; so are all successes."""
KEPT_HEADERS = ("content-type", "etag", "location")


async def creation(request: Request) -> Creation:
    """The identity of what the request creates."""
    found: Creation | None = request.scope.get("creation")
    return found if found is not None else Creation.new()


NewIdentity = Annotated[Creation, Depends(creation)]


def key_of(request: Request) -> str | None:
    """The key of a request; None if it has none. Raises ValidationFailed."""
    keys = request.headers.getlist(NAME)
    if not keys:
        return None
    if len(keys) > 1:
        raise ValidationFailed.at("header", NAME, msg="Given more than once", type="repeated")
    if not re.fullmatch(PATTERN, keys[0]):
        raise ValidationFailed.at("header", NAME, msg="must be 1-64 printable ASCII characters")
    return keys[0]


def with_idempotency(handler: Handler) -> Handler:
    """Answer a request with a key once, and replay the answer to those who repeat the request."""

    async def once(request: Request) -> Response:
        key = key_of(request)
        if key is None:
            return await handler(request)
        assert isinstance(request, ReadRequest)
        begun = await begin(request, key)
        if isinstance(begun, Answer):
            return replay(begun)
        return await answer_once(request, begun, handler)

    return once


async def begin(request: ReadRequest, key: str) -> Attempt | Answer:
    """Begin to answer a request with a key, or find its answer.

    Raises IdempotencyKeyReused or RequestInProgress.
    """
    caller: Caller = request.scope["caller"]
    requests = object_of(request, KeyedRequests)
    begun = await requests.begin(
        caller.subject, request.method, request.scope["path"], key, request.content
    )
    if isinstance(begun, Attempt):
        request.scope["creation"] = begun.creation
    return begun


async def answer_once(request: ReadRequest, attempt: Attempt, handler: Handler) -> Response:
    """Answer the request, and keep the answer before it is sent."""
    requests = object_of(request, KeyedRequests)
    response: Response | None = None
    kept = False
    try:
        response = await answered(request, handler)
        if response.status_code < 300 or response.status_code in KEPT_STATUSES:
            own = answer_of(response)
            answer = await requests.finish(attempt, own)
            kept = True
            return response if answer == own else replay(answer)
        return response
    finally:
        if not kept:
            refused = response is not None and response.status_code == 403
            requests.release(attempt, nothing_written=refused)


async def answered(request: Request, handler: Handler) -> Response:
    """The response of the handler, or the one to the exception that it raises."""
    try:
        return await handler(request)
    except Exception as error:
        return await response_to(request, error)


def answer_of(response: Response) -> Answer:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return Answer(status=response.status_code, headers=headers, body=bytes(response.body).decode())


def replay(answer: Answer) -> Response:
    return Response(answer.body, answer.status, {**answer.headers, "Idempotent-Replayed": "true"})
