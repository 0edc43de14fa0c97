"""Sessions in the database: reads, creation, and changes by group commit."""

import asyncio
from collections.abc import Sequence

from game_api.database.client import Database, Document
from game_api.database.connection import Connection, insert_new
from game_api.database.errors import is_unavailable
from game_api.errors import ApiError, DatabaseUnavailable
from game_api.ids import new_id
from game_api.observability.metrics import JOINS, SESSIONS_CREATED, Metrics
from game_api.seats.claims import Claims, Hold
from game_api.sessions.errors import SessionNotFound
from game_api.sessions.filters import SessionFilter
from game_api.sessions.group_commit import SESSIONS, GroupCommit, Result, Rule, load, refusals
from game_api.sessions.model import Session
from game_api.values import LIVE


class SessionStore:
    """The sessions of one database."""

    def __init__(self, connection: Connection, claims: Claims, metrics: Metrics) -> None:
        self._connection = connection
        self._claims = claims
        self._metrics = metrics
        self._commits = GroupCommit(connection, claims, metrics)

    async def aclose(self) -> None:
        """Wait until every change that has begun has ended."""
        await self._commits.aclose()

    async def get(self, session_id: str) -> Session:
        """Raises SessionNotFound."""
        return await load(self._connection, session_id)

    async def live_session_of(self, player_id: str, session_id: str | None) -> Session | None:
        """The session with this id, if it is live and the player has a seat in it."""
        if session_id is None:
            return None
        try:
            session = await self.get(session_id)
        except SessionNotFound:
            return None
        return session if session.live and session.member(player_id) else None

    async def list(
        self, wanted: SessionFilter, limit: int, before: str | None = None
    ) -> Sequence[Session]:
        """At most `limit` public sessions, newest first, starting behind the session `before`."""
        query = wanted.query()
        if before is not None:
            query["_id"] = {"$lt": before}  # Ids sort by creation time.
        documents = await self._connection.run(
            lambda database: database[SESSIONS]
            .find(query, sort=[("_id", -1)], limit=limit, batch_size=limit + 1)
            .to_list()
        )
        return [Session.model_validate_doc(document) for document in documents]

    async def count_live(self) -> tuple[int, int]:
        """The number of live sessions, and of the players seated in them."""
        pipeline: list[Document] = [
            {"$match": {"status": {"$in": sorted(LIVE)}}},
            {
                "$group": {
                    "_id": None,
                    "sessions": {"$sum": 1},
                    "seated": {"$sum": {"$subtract": ["$max_players", "$free_slots"]}},
                }
            },
        ]

        async def count(database: Database) -> list[Document]:
            async with await database[SESSIONS].aggregate(pipeline) as cursor:
                return await cursor.to_list()

        for counted in await self._connection.run(count):
            return counted["sessions"], counted["seated"]
        return 0, 0

    async def create(self, session: Session) -> Session:
        """Insert a new session and claim its members.

        Returns the session, whose id is another one if the claims for the first id were settled as
        abandoned. Raises PlayerNotFound or AlreadyInSession for a member who can't be seated.
        """
        while True:
            hold = Hold(session.id)
            if players := [member.player_id for member in session.members]:
                refused = await self._claims.take(hold, players)
                for refusal in refusals(refused).values():
                    raise refusal
            session.members = tuple(
                member.model_copy(update={"claim": hold.token}) for member in session.members
            )
            if await insert_new(self._connection, SESSIONS, session.model_dump_doc()):
                self._metrics.count(SESSIONS_CREATED)
                return session
            session = session.model_copy(update={"id": new_id()})

    async def change(self, session_id: str, rule: Rule[Result]) -> tuple[Session, Result]:
        """Apply a rule to a session; see `GroupCommit.change`."""
        return await self._commits.change(session_id, rule)

    async def join(self, session_id: str, rule: Rule[bool]) -> tuple[Session, bool]:
        """Apply a rule that seats players, as `change` does, and count the outcome."""
        outcome = "internal_error"
        try:
            session, seated = await self.change(session_id, rule)
            outcome = "seated" if seated else "already_seated"
            return session, seated
        except ApiError as error:
            outcome = error.code
            raise
        except asyncio.CancelledError:  # The shutdown timeout has passed.
            outcome = "shutting_down"
            raise
        except Exception as error:
            if is_unavailable(error):
                outcome = DatabaseUnavailable.code
            raise
        finally:
            self._metrics.count(JOINS, outcome)
