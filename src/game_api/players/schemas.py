"""Players on the wire."""

from pydantic import BaseModel, ConfigDict, Field

from game_api.attributes import Attributes
from game_api.clock import Timestamp
from game_api.players.model import DisplayName, Player, PlayerId, Rating, Region, Username


class NewPlayer(BaseModel):
    """A player to be created."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"username": "ada", "region": "eu-central-1"}]},
    )

    username: Username
    # The factories keep `null` out of the schema: it is not a value of these fields.
    player_id: PlayerId = Field(
        default_factory=str, description="Generated, in the order of time, when absent."
    )
    display_name: DisplayName = Field(default_factory=str, description="The username, when absent.")
    region: Region | None = None
    rating: Rating = 1000
    attributes: Attributes = Field(default_factory=dict)


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
    def of(cls, player: Player) -> "PlayerOut":
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
