"""The errors of players."""

from game_api.errors import ApiError, Conflict


class PlayerNotFound(ApiError):
    """There is no such player."""

    status = 404
    code = "player_not_found"
    members = {"player_id": {"type": "string", "examples": ["ada"]}}

    def __init__(self, player_id: str) -> None:
        super().__init__(player_id=player_id)


class UsernameTaken(Conflict):
    """Another player has this username (usernames are case-insensitive)."""

    code = "username_taken"


class PlayerExists(Conflict):
    """A player with this player_id already exists."""

    code = "player_exists"


class InSession(Conflict):
    """The player has a seat in a live session and must leave it first."""

    code = "in_session"
    members = {
        "session_id": {"type": "string", "examples": ["01a2055f-6d3b-7c41-9d4e-0c8d53b7a7f1"]}
    }

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id=session_id)
