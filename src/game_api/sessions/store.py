"""Sessions in the database: reads, creation, and changes by group commit."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

from game_api.clock import utc_now
from game_api.database.client import DEADLINE, Database, Document
from game_api.database.connection import Connection, insert
from game_api.database.documents import document_of
from game_api.database.errors import is_unavailable
from game_api.errors import ApiError, DatabaseUnavailable
from game_api.ids import next_id
from game_api.observability.metrics import JOINS, SESSIONS_CREATED, Metrics
from game_api.players.errors import PlayerNotFound
from game_api.seats.claims import TOMBSTONE_LIFETIME, Claims, Hold
from game_api.sessions.errors import AlreadyInSession, SessionNotFound
from game_api.sessions.filters import SessionFilter
from game_api.sessions.group_commit import GroupCommit
from game_api.sessions.model import Events, Session
from game_api.sessions.rounds import SESSIONS, Result, Rule, find, hand_over, load
from game_api.sessions.stored import StoredSession
from game_api.values import INCARNATION, LIVE

RETENTION = timedelta(days=30)


async def schedule_purges(database: Database, retention: timedelta) -> None:
    """Let sessions and tombstones expire that were written without a `purge_at`."""
    now = utc_now()
    ended = {"status": {"$in": ["ended", "cancelled", "expired"]}, "purge_at": None}
    await database[SESSIONS].update_many(ended, {"$set": {"purge_at": now + retention}})
    tombstones = {"version": {"$exists": False}, "purge_at": None}
    lifetime = {"$set": {"purge_at": now + TOMBSTONE_LIFETIME}}
    await database[SESSIONS].update_many(tombstones, lifetime)


class SessionStore:
    """The sessions of one database. Ended sessions are kept for the time of `retention`."""

    def __init__(
        self,
        connection: Connection,
        claims: Claims,
        metrics: Metrics,
        retention: timedelta = RETENTION,
    ) -> None:
        self._connection = connection
        self._claims = claims
        self._metrics = metrics
        self._commits = GroupCommit(connection, claims, metrics, retention)

    async def aclose(self) -> None:
        """Wait until every change that has begun has ended."""
        await self._commits.aclose()

    async def find(self, session_id: str) -> StoredSession:
        """Raises SessionNotFound."""
        return StoredSession(await find(self._connection, session_id))

    async def live_session_of(self, player_id: str, session_id: str | None) -> StoredSession | None:
        """The session with this id, if it is live and the player has a seat in it."""
        if session_id is None:
            return None
        try:
            session = await self.find(session_id)
        except SessionNotFound:
            return None
        return session if session.live and session.member(player_id) else None

    async def list(
        self, wanted: SessionFilter, limit: int, before: str | None = None
    ) -> Sequence[Document]:
        """The documents of at most `limit` public sessions.

        They are sorted from the newest to the oldest, and start behind the session `before`.
        """
        query = wanted.indexed_query()
        # The database removes a session only some time after its `purge_at`.
        query["purge_at"] = {"$not": {"$lte": utc_now()}}
        if before is not None:
            query["_id"] = {"$lt": before}  # Ids sort by creation time.
        return await self._connection.run(
            "find",
            lambda database: database[SESSIONS]
            .find(query, sort=[("_id", -1)], limit=limit, batch_size=limit + 1)
            .to_list(),
        )

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

        for counted in await self._connection.run("aggregate", count):
            return counted["sessions"], counted["seated"]
        return 0, 0

    async def create(self, session: Session, repeated: bool = False) -> Session:
        """Insert a new session and claim its members.

        If this is `repeated`, only if no earlier attempt has done so. Returns the session, whose id
        is another one if the claims for the first id were settled as abandoned. Raises
        PlayerNotFound or AlreadyInSession for a member who can't be seated.
        """
        if repeated:
            session, created = await self._latest_attempt(session)
            if created:
                return session
        hold = Hold(session.id)
        while True:
            try:
                await self._claim_members(session, hold)
            except ApiError:
                # The member may be elsewhere by now, after an earlier attempt was faster.
                if repeated:
                    session, created = await self._latest_attempt(session)
                    if created:
                        return session
                raise
            session.members = tuple(
                member.model_copy(update={"claim": hold.token}) for member in session.members
            )
            outcome = await insert(self._connection, SESSIONS, document_of(session))
            if outcome == "inserted" or (outcome == "found" and not session.keyed):
                self._metrics.count(SESSIONS_CREATED)
                return session
            session, created = await self._latest_attempt(session)
            if created:  # Another attempt of the same request was faster.
                await self._return_claims(session.id, hold)
                return session
            hold = Hold(session.id, hold.tokens)

    async def _latest_attempt(self, session: Session) -> tuple[Session, bool]:
        """The session with the id that is to be used, and whether it exists already.

        An id in whose place there is a tombstone can't be used any more. Each attempt of a request
        then goes on to the same next id.
        """
        while True:
            found = await self._connection.run(
                "find",
                lambda database: database[SESSIONS].find_one({"_id": session.id}, {INCARNATION: 1}),
            )
            if found is None:
                return session, False
            if found.get(INCARNATION) == session.incarnation:
                return session, True
            session = session.model_copy(update={"id": next_id(session.id)})

    async def _return_claims(self, session_id: str, hold: Hold) -> None:
        """Give the claims to the attempt that has seated the players, or free them."""
        session = await load(self._connection, session_id)
        seats = {m.player_id: m.claim or "" for m in session.members if session.live}
        seated = {p: t for p, t in hold.tokens.items() if p in seats}
        await self._claims.release(hold, {p: t for p, t in hold.tokens.items() if p not in seats})
        await hand_over(self._connection, self._claims, hold, seated, {p: seats[p] for p in seated})

    async def _claim_members(self, session: Session, hold: Hold) -> None:
        """Claim the members of a new session, or none of them.

        Raises PlayerNotFound or AlreadyInSession.
        """
        players = [member.player_id for member in session.members]
        attempt = 0
        while unclaimed := hold.unclaimed(players):
            started = time.monotonic()
            missing, foreign = await self._claims.take(hold, unclaimed)
            latency = time.monotonic() - started
            refusal: ApiError | None = None
            for player_id in missing:
                refusal = PlayerNotFound(player_id)
            if foreign and refusal is None:
                contest = await self._claims.contest(session.id, foreign, attempt, latency)
                hold.tokens |= contest.tokens
                for player_id, session_id in contest.seated.items():
                    refusal = AlreadyInSession(session_id, player_id)
                if contest.failure is not None and refusal is None:
                    raise contest.failure
            if refusal is not None:
                await self._claims.release(hold, hold.tokens)
                raise refusal
            attempt += 1

    async def change(self, session_id: str, rule: Rule[Result]) -> tuple[Session, Result]:
        """Apply a rule to a session; see `GroupCommit.change`."""
        return await self._commits.change(session_id, rule)

    async def join(self, session_id: str, rule: Rule[Events]) -> tuple[Session, Events]:
        """Apply a rule that seats players, as `change` does, and count the outcome."""
        outcome, started = "internal_error", time.monotonic()
        try:
            session, events = await self.change(session_id, rule)
            outcome = "seated" if events else "already_seated"
            return session, events
        except ApiError as error:
            outcome = error.code
            raise
        except asyncio.CancelledError:  # The deadline of the request or of the shutdown has passed.
            late = time.monotonic() - started >= DEADLINE
            outcome = DatabaseUnavailable.code if late else "shutting_down"
            raise
        except Exception as error:
            if is_unavailable(error):
                outcome = DatabaseUnavailable.code
            raise
        finally:
            self._metrics.count(JOINS, outcome)
