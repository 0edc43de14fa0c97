"""What the peers share: the request bodies, and where the database is."""

import os
import uuid
from datetime import UTC, datetime

from pydantic import BaseModel

URI = os.environ.get("BENCHMARK_URI", "mongodb://127.0.0.1")
DATABASE = os.environ.get("BENCHMARK_DATABASE", "benchmark")

Attributes = dict[str, bool | int | float | str]


def now() -> datetime:
    """The current time, truncated to the milliseconds that BSON keeps."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def new_id() -> str:
    return str(uuid.uuid4())


class NewPlayer(BaseModel):
    player_id: str
    username: str
    display_name: str | None = None
    region: str | None = None
    rating: int = 1000
    attributes: Attributes = {}


class NewSession(BaseModel):
    name: str
    game_mode: str
    max_players: int
    region: str | None = None
    attributes: Attributes = {}


class StatusUpdate(BaseModel):
    status: str
