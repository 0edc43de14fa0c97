"""Builders of players and sessions for tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from game_api.access.caller import SYSTEM
from game_api.players.model import Player
from game_api.sessions.model import Session

NOW = datetime(2026, 11, 22, 19, 0, 0, 123000, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def a_player(player_id: str, **fields: Any) -> Player:
    """A player whose username is its id. `fields` replace the defaults."""
    values: dict[str, Any] = {
        "id": player_id,
        "username": player_id,
        "username_key": player_id.lower(),
        "display_name": player_id,
        "rating": 1000,
        "attributes": {},
        "created_at": NOW,
        "updated_at": NOW,
    } | fields
    return Player(**values)


def a_session(*player_ids: str, **fields: Any) -> Session:
    """A session at version 1 in which these players have joined. `fields` replace the defaults."""
    values: dict[str, Any] = {
        "id": "s",
        "name": "Friday duel",
        "game_mode": "duel",
        "max_players": 4,
        "free_slots": fields.get("max_players", 4),
        "attributes": {},
        "created_at": NOW,
        "updated_at": NOW,
    } | fields
    # Players join while the session is waiting, so the requested status is set afterwards.
    session = Session(**{**values, "status": "waiting"})
    if player_ids:
        session.join(player_ids, None, SYSTEM, NOW)
    session.status = fields.get("status", "waiting")
    session.version = 1
    return session
