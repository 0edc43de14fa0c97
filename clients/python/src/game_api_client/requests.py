"""The requests that the clients send."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar
from urllib.parse import quote
from uuid import uuid4

from .models import AttributeValue, SessionStatus

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

IDEMPOTENT_METHODS = {"GET", "HEAD", "PUT", "DELETE"}
IDEMPOTENCY_KEY = re.compile("[!-~]([ -~]{0,62}[!-~])?")


class PlayerFilters(TypedDict, total=False):
    """Which players to list."""

    username: str
    """Lists the player with this username, regardless of case."""
    limit: int
    """The number of players on a page: 1 to 100, 20 by default."""


class SessionFilters(TypedDict, total=False):
    """Which sessions to list: those that match all filters."""

    status: Sequence[SessionStatus]
    """Lists the sessions with any of these statuses; by default the live ones."""
    game_mode: str
    region: str
    min_free_slots: int
    host_player_id: str
    attributes: Mapping[str, AttributeValue]
    """Lists the sessions whose attributes have exactly these values."""
    joinable: bool
    """Lists the sessions that can be joined: they have a free seat and a status that allows it."""
    limit: int
    """The number of sessions on a page: 1 to 100, 20 by default."""


@dataclass(frozen=True)
class Request(Generic[T]):
    """A request. `T` is the type of the body of a successful response."""

    method: str
    path: str
    query: Mapping[str, Any] | None = None
    body: Mapping[str, object] | None = None
    if_match: int | None = None
    if_none_match: int | None = None
    idempotency_key: str | None = None

    @classmethod
    def post(cls, path: str, body: Mapping[str, object], idempotency_key: str | None) -> Self:
        """A POST with an Idempotency-Key, which is a new one if the caller has none.

        Raises ValueError for a key that is not 1 to 64 printable ASCII characters.
        """
        key = str(uuid4()) if idempotency_key is None else idempotency_key
        if not IDEMPOTENCY_KEY.fullmatch(key):
            raise ValueError("an idempotency key has 1 to 64 printable ASCII characters")
        return cls("POST", path, body=body, idempotency_key=key)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that only this request has."""
        conditions = {"If-Match": self.if_match, "If-None-Match": self.if_none_match}
        headers = {name: f'"{value}"' for name, value in conditions.items() if value is not None}
        if self.idempotency_key is not None:
            headers["Idempotency-Key"] = self.idempotency_key
        return headers

    @property
    def needs_token(self) -> bool:
        """The health of the service can be read without a token."""
        return self.path.startswith("/api/")

    @property
    def is_repeatable(self) -> bool:
        """Whether the request has the same effect if it is made twice.

        A condition makes it unrepeatable: if the first attempt made the change, the version that
        the second one meets is the one that the first one made.
        """
        same_effect = self.method in IDEMPOTENT_METHODS or self.idempotency_key is not None
        return same_effect and self.if_match is None


def path(*segments: str) -> str:
    """The path of a resource.

    Raises ValueError for an empty segment and for dots, since they would lead to another resource.
    """
    for segment in segments:
        if segment in ("", ".", ".."):
            raise ValueError(f"{segment!r} is not an id")
    return "/api/v1/" + "/".join(quote(segment, safe="") for segment in segments)


def query(filters: Mapping[str, Any], cursor: str | None) -> dict[str, Any]:
    """The query parameters of a list; a sequence is sent as a repeated parameter."""
    parameters = {**filters, "cursor": cursor}
    attributes: Mapping[str, AttributeValue] = parameters.pop("attributes", None) or {}
    parameters["attribute"] = [f"{key}:{as_text(value)}" for key, value in attributes.items()]
    return {name: value for name, value in parameters.items() if value is not None}


def as_text(value: AttributeValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
