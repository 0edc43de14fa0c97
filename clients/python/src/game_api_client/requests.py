"""The requests that the clients send."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar
from urllib.parse import quote

from .models import AttributeValue, SessionStatus

T = TypeVar("T")


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

    @property
    def headers(self) -> dict[str, str]:
        """The conditional headers."""
        headers = {"If-Match": self.if_match, "If-None-Match": self.if_none_match}
        return {name: f'"{version}"' for name, version in headers.items() if version is not None}


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
