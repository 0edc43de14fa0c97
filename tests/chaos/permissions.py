"""The permissions as the API documents them, for the checker.

This is written independently of the service.
"""

from tests.chaos.history import Operation, State

FORBIDDEN, HIDDEN, UNAUTHENTICATED = "forbidden", "session_not_found", "unauthenticated"
NOT_FOR_SERVERS = {"create player", "update player", "delete player"}
FOR_ALL_PLAYERS = {"get player", "list sessions", "get session"}
FOR_HOSTS = {"update session", "repeat name", "leave"}
"""What the host of a session may do, whoever it is about."""
NOT_FOR_ONESELF = {"update session", "repeat name"}


def denial(operation: Operation, session: State | None = None) -> str | None:
    """The code with which the operation has to be refused; None if its caller may perform it.

    `session` is the state of the session that the operation is about.
    """
    if operation.token != "good":
        return UNAUTHENTICATED
    if operation.role == "admin":
        return None
    if operation.role == "server":
        return FORBIDDEN if operation.kind in NOT_FOR_SERVERS else None
    if session is not None and session["visibility"] == "private":
        if all(member["player_id"] != operation.subject for member in session["members"]):
            return HIDDEN
    return None if _permitted_to_player(operation, session) else FORBIDDEN


def _permitted_to_player(operation: Operation, session: State | None) -> bool:
    if operation.kind in FOR_ALL_PLAYERS:
        return True
    if operation.kind == "list players":
        return "username" in operation.query
    if session is not None and session["host_player_id"] == operation.subject:
        if operation.kind in FOR_HOSTS:
            return True
        if operation.kind == "update member" and set(operation.body) <= {"team"}:
            return True
    if operation.kind in NOT_FOR_ONESELF:
        return False
    return set(operation.player_ids) <= {operation.subject}
