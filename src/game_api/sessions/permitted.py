"""The permission to change a session, checked within the rule that changes it."""

from collections.abc import Collection

from game_api.access.policy import Grant
from game_api.sessions.errors import SessionNotFound
from game_api.sessions.model import Session
from game_api.sessions.rounds import Result, Rule


def permitted(
    grant: Grant, rule: Rule[Result], *players: str, fields: Collection[str] = ()
) -> Rule[Result]:
    """The rule, which is now applied only if the caller may apply it for these players.

    For a caller who may not know of the session, there is no such session.
    """

    def checked(session: Session) -> Result:
        if not grant.sees(session):
            raise SessionNotFound(session.id)
        grant.check(*players, session=session, fields=fields)
        return rule(session)

    return checked
