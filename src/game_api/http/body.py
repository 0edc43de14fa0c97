"""The body of a request: JSON of a limited size."""

import codecs
import json
import re
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Scope

from game_api.http.problems import BodyTooLarge, UnsupportedMediaType, ValidationFailed
from game_api.http.steps import Handler

MAX_BODY_BYTES = 64 * 1024
JSON_MEDIA_TYPE = re.compile(r"application/(?:[a-z0-9!#$&^_.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)


class ReadRequest(Request):
    """A request whose body has been read, and may have been decoded."""

    value: Any = None
    """The value of the JSON document. The value `null` counts as no body."""

    def __init__(self, scope: Scope, content: bytes) -> None:
        super().__init__(scope)
        self.content = content

    async def body(self) -> bytes:
        return b"" if self.value is None else b"json"  # FastAPI only checks if there is one.

    async def json(self) -> Any:
        return self.value


def with_read_body(handler: Handler) -> Handler:
    """Read the body within its size limit, and check its content type.

    Raises UnsupportedMediaType, and BodyTooLarge without reading the rest. `game_api.http.protocol`
    limits the time and raises RequestTimeout.
    """

    async def checked(request: Request) -> Response:
        content = await read_body(request)
        if content:
            if not JSON_MEDIA_TYPE.fullmatch(request.headers.get("content-type", "")):
                raise UnsupportedMediaType()
            if request.headers.get("content-encoding", "identity").lower() != "identity":
                raise UnsupportedMediaType("The body must not be compressed.")
        return await handler(ReadRequest(request.scope, content))

    return checked


def with_decoded_body(handler: Handler) -> Handler:
    """Decode the body that has been read. Raises ValidationFailed."""

    async def decoded(request: Request) -> Response:
        assert isinstance(request, ReadRequest)
        if request.content:
            request.value = decode(request.content)
        return await handler(request)

    return decoded


async def read_body(request: Request) -> bytes:
    """The body of the request. Raises BodyTooLarge."""
    if int(request.headers.get("content-length", 0)) > MAX_BODY_BYTES:
        raise BodyTooLarge()
    body, more = b"", True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge()
        more = message.get("more_body", False)
    return body


def decode(body: bytes) -> Any:
    """The value of a JSON document, in which no object has the same key twice.

    Raises ValidationFailed.
    """
    if body.startswith(codecs.BOM_UTF8):  # A decoder's own message would not name the cause.
        msg = "Unexpected UTF-8 BOM (decode using utf-8-sig)"
        raise ValidationFailed.at("body", 0, msg=msg, type="json_invalid")
    try:
        return DECODER.decode(body.decode())
    except json.JSONDecodeError as error:
        raise ValidationFailed.at("body", error.pos, msg=error.msg, type="json_invalid") from None
    except RecursionError:
        raise ValidationFailed.at("body", msg="Nested too deeply", type="json_invalid") from None
    except UnicodeDecodeError:
        raise ValidationFailed.at("body", msg="Not UTF-8", type="json_invalid") from None
    except ValueError:  # Python limits the digits of an integer.
        raise ValidationFailed.at("body", msg="Not a JSON number", type="json_invalid") from None


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of an object. Raises ValidationFailed for a repeated name."""
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValidationFailed.at("body", name, msg="Given more than once", type="repeated")
        members[name] = value
    return members


def refuse_constant(name: str) -> None:
    """JSON has no `NaN` and no infinities, which Python's decoder accepts."""
    raise ValueError(f"{name} is not JSON")


DECODER = json.JSONDecoder(object_pairs_hook=unique, parse_constant=refuse_constant)
