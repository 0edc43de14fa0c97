"""The request and response bodies of players."""

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from game_api.clock import Timestamp, rfc3339
from game_api.database.client import Document
from game_api.http.pagination import NextCursor
from game_api.players import model
from game_api.players.model import PlayerId, PlayerProfile
from game_api.values import Attributes, Int32, Int64


class PlayerCreate(PlayerProfile):
    """A player to create."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"player_id": "ada", "username": "Ada", "region": "eu-central-1"}]
        },
    )

    # An empty string stands for an absent id. The factory keeps `null` out of the schema.
    player_id: PlayerId = Field(
        default_factory=str,
        description="Generated if it is absent; generated ids sort by creation time.",
    )


@with_config(
    json_schema_extra={
        "examples": [
            {
                "player_id": "ada",
                "username": "Ada",
                "display_name": "Ada L.",
                "region": "eu-central-1",
                "rating": 1000,
                "attributes": {"clan": "analysts", "level": 5},
                "created_at": "2026-11-22T19:00:00.123Z",
                "updated_at": "2026-11-22T19:00:00.123Z",
                "version": 1,
            }
        ]
    }
)
class Player(TypedDict):
    """A player."""

    player_id: str
    username: str
    display_name: str
    region: str | None
    rating: Int32
    attributes: Attributes
    created_at: Timestamp
    updated_at: Timestamp
    version: Int64


class PlayerPage(TypedDict):
    """One page of a list of players."""

    items: list[Player]
    next_cursor: NextCursor


def of_model(player: model.Player) -> Player:
    """The resource that shows this player."""
    return _player(player.id, vars(player))


def of_document(document: Document) -> Player:
    """The resource that shows the player in this document.

    What was validated when it was written is not validated again.
    """
    return _player(document["_id"], document)


def _player(player_id: str, fields: Mapping[str, Any]) -> Player:
    """The resource with these fields, which a model and a document have under the same names."""
    return {
        "player_id": player_id,
        "username": fields["username"],
        "display_name": fields["display_name"],
        "region": fields["region"],
        "rating": fields["rating"],
        "attributes": fields["attributes"],
        "created_at": rfc3339(fields["created_at"]),
        "updated_at": rfc3339(fields["updated_at"]),
        "version": fields["version"],
    }
