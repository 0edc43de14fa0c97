"""The request and response bodies of players."""

from pydantic import BaseModel, ConfigDict, Field

from game_api.clock import Timestamp
from game_api.players.model import Player, PlayerId, PlayerProfile
from game_api.values import Attributes


class NewPlayer(PlayerProfile):
    """A player to create."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"username": "ada", "region": "eu-central-1"}]},
    )

    # An empty string stands for an absent id. The factory keeps `null` out of the schema.
    player_id: PlayerId = Field(
        default_factory=str,
        description="Generated if it is absent; generated ids sort by creation time.",
    )


class PlayerOut(BaseModel):
    """A player."""

    player_id: str
    username: str
    display_name: str
    region: str | None
    rating: int
    attributes: Attributes
    created_at: Timestamp
    updated_at: Timestamp
    version: int

    @classmethod
    def from_player(cls, player: Player) -> "PlayerOut":
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
