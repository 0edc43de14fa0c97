"""The request and response bodies of players."""

from pydantic import BaseModel, ConfigDict, Field

from game_api.clock import Timestamp
from game_api.http.pagination import Page
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


class Player(BaseModel):
    """A player."""

    model_config = ConfigDict(
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

    player_id: str
    username: str
    display_name: str
    region: str | None
    rating: Int32
    attributes: Attributes
    created_at: Timestamp
    updated_at: Timestamp
    version: Int64

    @classmethod
    def of(cls, player: model.Player) -> "Player":
        """The resource that shows this player."""
        return cls.model_construct(
            player_id=player.id,
            username=player.username,
            display_name=player.display_name,
            region=player.region,
            rating=player.rating,
            attributes=player.attributes,
            created_at=player.created_at,
            updated_at=player.updated_at,
            version=player.version,
        )


class PlayerPage(Page[Player]):
    """One page of a list of players."""
