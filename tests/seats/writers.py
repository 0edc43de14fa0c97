"""Writers of sessions, and the claims that they leave."""

from game_api.access.caller import SYSTEM
from game_api.database.client import Database
from game_api.database.connection import Connection
from game_api.seats.claims import Claims
from game_api.sessions.model import Session
from game_api.sessions.rounds import Round, load
from game_api.sessions.store import SessionStore
from tests.build import LATER
from tests.sessions.checks import a_round


async def join(sessions: SessionStore, session_id: str, *players: str) -> Session:
    session, _ = await sessions.change(session_id, lambda s: s.join(players, None, SYSTEM, LATER))
    return session


async def claim(database: Database, player_id: str = "ada") -> tuple[str | None, str | None]:
    """The session that claims the player, and the token of the claim."""
    document = await database.players.find_one({"_id": player_id})
    assert document
    return document["session_id"], document["claim"]


class StoppedWriter:
    """A writer of session `a` that stops at a point where its process may die or hang."""

    def __init__(self, connection: Connection, claims: Claims, *players: str) -> None:
        self.connection = connection
        self.round: Round = a_round(
            connection, claims, "a", lambda s: s.join(players, None, SYSTEM, LATER)
        )

    async def load_and_claim(self) -> None:
        self.plan = await self.round.make_plan(await load(self.connection, "a"))
        assert not [answer for answer in self.plan.answers if isinstance(answer, Exception)]

    async def write(self) -> bool:
        return await self.round.write(self.plan)
