"""Responses that show resources: JSON, with the version as the ETag."""

from collections.abc import Mapping

from pydantic_core import to_json
from starlette.responses import Response

from game_api.http.preconditions import etag

JSON = "application/json"


def shown(
    content: Mapping[str, object],
    version: int | None = None,
    status: int = 200,
    location: str | None = None,
) -> Response:
    """A response with this content.

    The content is serialised as it is, and not validated: it is a `TypedDict` of the schemas, made
    from what was validated when it was written.
    """
    headers = {}
    if version is not None:
        headers["ETag"] = etag(version)
    if location is not None:
        headers["Location"] = location
    return Response(to_json(content), status, headers, JSON)
