"""The errors of sessions and of the seats in them."""

from collections.abc import Sequence

from game_api.errors import ApiError, Conflict


class SessionNotFound(ApiError):
    """There is no such session."""

    status = 404
    code = "session_not_found"
    members = {
        "session_id": {"type": "string", "examples": ["01a2055f-6d3b-7c41-9d4e-0c8d53b7a7f1"]}
    }

    def __init__(self, session_id: str) -> None:
        super().__init__(session_id=session_id)


class NotInSession(ApiError):
    """The player has no seat in a live session."""

    status = 404
    code = "not_in_session"


class MemberNotFound(ApiError):
    """The player has no seat in this session."""

    status = 404
    code = "not_a_member"


class AlreadyInSession(Conflict):
    """The player has a seat in another live session."""

    code = "already_in_session"
    members = {
        "session_id": {"type": "string", "examples": ["01a2055f-6d3b-7c41-9d4e-0c8d53b7a7f1"]},
        "player_id": {"type": "string", "examples": ["ada"]},
    }

    def __init__(self, session_id: str, player_id: str) -> None:
        super().__init__(session_id=session_id, player_id=player_id)


class SessionFull(Conflict):
    """The session does not have enough free seats."""

    code = "session_full"


class SessionNotJoinable(Conflict):
    """The session can't be joined in its current status."""

    code = "session_not_joinable"
    members = {"session_status": {"type": "string", "examples": ["ended"]}}

    def __init__(self, session_status: str) -> None:
        super().__init__(session_status=session_status)


class SessionOver(Conflict):
    """The session has ended and can no longer be changed."""

    code = "session_over"
    members = {"session_status": {"type": "string", "examples": ["ended"]}}

    def __init__(self, session_status: str) -> None:
        super().__init__(session_status=session_status)


class IllegalTransition(Conflict):
    """The session can't change from its current status to the requested one."""

    code = "illegal_transition"
    members = {
        "from": {"type": "string", "examples": ["active"]},
        "to": {"type": "string", "examples": ["waiting"]},
        "allowed": {
            "type": "array",
            "items": {"type": "string"},
            "examples": [["ended", "cancelled"]],
        },
    }

    def __init__(self, source: str, target: str, allowed: Sequence[str]) -> None:
        super().__init__()
        self.extra = {"from": source, "to": target, "allowed": list(allowed)}


class NotEnoughPlayers(Conflict):
    """Fewer players than `min_players` are seated."""

    code = "not_enough_players"
    members = {
        "player_count": {"type": "integer", "examples": [3]},
        "min_players": {"type": "integer", "examples": [4]},
    }

    def __init__(self, player_count: int, min_players: int) -> None:
        super().__init__(player_count=player_count, min_players=min_players)


class TooManyMembers(Conflict):
    """More players than the new `max_players` are seated."""

    code = "too_many_members"
    members = {"player_count": {"type": "integer", "examples": [3]}}

    def __init__(self, player_count: int) -> None:
        super().__init__(player_count=player_count)


class NotAMember(Conflict):
    """The host must be a member of the session."""

    code = "not_a_member"
