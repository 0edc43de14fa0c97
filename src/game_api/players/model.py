"""What a player is, and what may be done to one: pure, no clock, no I/O."""

from datetime import datetime
from typing import Annotated, Self

from odmantic import Field, Index, Model
from pydantic import Field as Described
from pydantic import StringConstraints, with_config
from typing_extensions import TypedDict

from game_api.attributes import Attributes, same
from game_api.ids import new_token
from game_api.integers import Whole

PlayerId = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_-]{1,64}$"),
    Described(description="1-64 of letters, digits, `_` and `-`.", examples=["ada"]),
]
Username = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=3, max_length=32, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
    ),
    Described(description="Unique among players, whatever the case.", examples=["Ada"]),
]
DisplayName = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=64),
    Described(description="What other players see.", examples=["Ada L."]),
]
Region = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[a-z0-9-]{2,32}$"),
    Described(examples=["eu-central-1"]),
]
Rating = Annotated[int, Described(strict=True, ge=0, le=100_000, examples=[1000]), Whole]


@with_config(extra="forbid")
class PlayerChanges(TypedDict, total=False):
    """The fields to change; absent ones stay as they are."""

    username: Username
    display_name: DisplayName
    region: Region | None
    rating: Rating
    attributes: Attributes


class Player(Model):
    """A player, and the claim of the session in which the player has (or is taking) a seat."""

    model_config = {
        "collection": "players",
        "indexes": lambda: [Index(Player.username_key, unique=True, name="username_key")],
    }

    id: str = Field(primary_field=True)
    birth: str = Field(default_factory=new_token)
    """Tells this document from any other that ever has the same id."""
    username: str
    username_key: str
    """The username in lower case: what has to be unique."""
    display_name: str
    region: str | None = None
    rating: int
    attributes: dict[str, bool | int | float | str]
    created_at: datetime
    updated_at: datetime
    version: int = 1

    session_id: str | None = None
    """The session that claims the player. The claim is only as good as the seat there."""
    claim: str | None = None
    """Who set `session_id`: a token of its own for each time it is set."""

    def with_changes(self, changes: PlayerChanges, now: datetime) -> Self:
        """The player with these changes; the player itself when they change nothing."""
        effective = {key: new for key, new in changes.items() if not same(getattr(self, key), new)}
        if not effective:
            return self
        changed = self.model_copy()
        for key, new in effective.items():
            setattr(changed, key, new)
        changed.username_key = changed.username.lower()
        changed.updated_at = max(now, self.updated_at)
        changed.version = self.version + 1
        return changed
