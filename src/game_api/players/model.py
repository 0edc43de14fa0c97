"""The model of a player and the rules about it: pure, without clock or I/O."""

from datetime import datetime
from typing import Annotated, Self

import odmantic
from pydantic import BaseModel, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from game_api.access.creation import Creation
from game_api.ids import new_token
from game_api.values import (
    ID_PATTERN,
    INCARNATION,
    VISIBLE_TEXT,
    Attributes,
    VisibleText,
    WholeNumber,
    unchanged,
)

PlayerId = Annotated[
    str,
    StringConstraints(strict=True, pattern=ID_PATTERN),
    Field(description="1-64 letters, digits, `_` or `-`.", examples=["ada"]),
]
Username = Annotated[
    str,
    StringConstraints(
        strict=True, min_length=3, max_length=32, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
    ),
    Field(description="Unique among all players, regardless of case.", examples=["Ada"]),
]
DisplayName = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=64),
    VisibleText,
    Field(
        description="The name that other players see.",
        examples=["Ada L."],
        json_schema_extra=VISIBLE_TEXT,
    ),
]
Region = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[a-z0-9-]{2,32}$"),
    Field(examples=["eu-central-1"]),
]
Rating = Annotated[int, Field(strict=True, ge=0, le=100_000, examples=[1000]), WholeNumber]


class PlayerProfile(BaseModel):
    """The fields that a new player is created with."""

    username: Username
    # An empty string stands for an absent name. The factory keeps `null` out of the schema.
    display_name: DisplayName = Field(default_factory=str, description="Defaults to the username.")
    region: Region | None = None
    rating: Rating = 1000
    attributes: Attributes = Field(default_factory=dict)


@with_config(extra="forbid", json_schema_extra={"examples": [{"display_name": "Ada L."}]})
class PlayerUpdate(TypedDict, total=False):
    """The fields to change; absent fields keep their values."""

    username: Username
    display_name: DisplayName
    region: Region | None
    rating: Rating
    attributes: Attributes


class Player(odmantic.Model):
    """A player, and the claim of the session in which the player has or is taking a seat."""

    model_config = {
        "collection": "players",
        "indexes": lambda: [odmantic.Index(Player.username_key, unique=True, name="username_key")],
    }

    id: str = odmantic.Field(primary_field=True)
    incarnation: str = odmantic.Field(default_factory=new_token, key_name=INCARNATION)
    """Distinguishes this document from every other one that ever has the same id."""
    username: str
    username_key: str
    """The username in lower case, which has to be unique."""
    display_name: str
    region: str | None = None
    rating: int
    attributes: dict[str, bool | int | float | str]
    created_at: datetime
    updated_at: datetime
    version: int = 1
    write: str | None = None
    """The token of the last change; after a lost response it shows whether it was made."""

    creation: str | None = None
    """The incarnation with which the player was created; None if that can't be repeated.

    Because of this field, the incarnation has a unique index."""

    session_id: str | None = None
    """The session that claims the player, who has a seat there or may be about to get one."""
    claim: str | None = None
    """The token of the writer that set `session_id`; it is new each time."""

    purge_at: datetime | None = None
    """Only traces of players have it (see `creations.py`). It has a TTL index."""

    @classmethod
    def new(cls, player_id: str, profile: PlayerProfile, creation: Creation) -> Self:
        """A new player, as version 1."""
        return cls(
            id=player_id,
            incarnation=creation.incarnation,
            creation=creation.incarnation if creation.keyed else None,
            username=profile.username,
            username_key=profile.username.lower(),
            display_name=profile.display_name or profile.username,
            region=profile.region,
            rating=profile.rating,
            attributes=profile.attributes,
            created_at=creation.now,
            updated_at=creation.now,
        )

    def change(self, changes: PlayerUpdate, now: datetime) -> None:
        """Change these fields and count one version; do nothing if they have these values."""
        effective = {
            key: new for key, new in changes.items() if not unchanged(getattr(self, key), new)
        }
        if not effective:
            return
        for key, new in effective.items():
            setattr(self, key, new)
        self.username_key = self.username.lower()
        self.updated_at = max(now, self.updated_at)
        self.version += 1
