"""Claims: the protocol that gives each player at most one seat, without transactions.

A player's document names the session that claims the player (`session_id`) and carries the token of
the writer that set it (`claim`). The following always holds, whichever process dies or hangs:

    A player who has a seat in a live session is claimed by that session.

- To seat players, a writer first loads the session. It then claims them with a token that is new
  for this load (`take`), and finally writes the session, guarded by the revision that it loaded.
- A claim without a seat belongs to a writer that has died, or that is about to write. To take such
  claims away from a session (`contest`), its revision is incremented first. Then the claims are
  moved, provided that they still have the same tokens. Every writer that loaded the session before
  loses its guard. A writer that loads it afterwards has to claim the players again with a new
  token, and then the move matches nothing. If the session does not exist yet, a tombstone takes its
  place, so that inserting the session fails.
- A claim is released only under its token, so that a late release can't affect a newer claim.

Safety does not depend on time. Patience only decides how long a writer waits before it settles the
claims of another one, so that writers that want the same players do not undo each other's work
forever. Of two sessions that want the same players, the one with the smaller id waits for a shorter
time.
"""

import asyncio
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from game_api.clock import utc_now
from game_api.database.client import DEADLINE, Document
from game_api.database.connection import Connection
from game_api.database.errors import OUTCOME_UNKNOWN
from game_api.ids import new_timed_token, token_age
from game_api.values import LIVE

PLAYERS, SESSIONS = "players", "sessions"

STALE_SECONDS = DEADLINE + 1
"""The age from which a claim can't belong to a running request any more."""
TOMBSTONE_LIFETIME = timedelta(days=1)
"""How long a tombstone is kept; no insertion is delayed for that long."""
SHORTEST_PATIENCE, LONGEST_PATIENCE = 0.05, 0.25
"""The limits in seconds of a step of patience, in which an owner can send its next commands."""
MAX_PASSES = 4


@dataclass(frozen=True)
class Claim:
    """The claim of a session on a player."""

    session_id: str
    token: str

    @property
    def stale(self) -> bool:
        """Whether the request that made the claim has certainly ended."""
        return token_age(self.token) >= STALE_SECONDS


class Hold:
    """The claims that one writer holds for one session, across all of its attempts."""

    def __init__(
        self,
        session_id: str,
        tokens: Mapping[str, str] | None = None,
        shared: Mapping[str, str] | None = None,
    ) -> None:
        self.session_id = session_id
        self.token = new_timed_token()
        self.tokens = dict(tokens or {})
        """The token under which each player was claimed."""
        self.shared = dict(shared or {})
        """The tokens of another writer of the same session that had claimed these players before.
        It may still seat them, so these claims must not simply be freed."""

    def renew(self) -> None:
        """Start over after the session was loaded again: all players have to be claimed again."""
        self.token = new_timed_token()

    def unclaimed(self, player_ids: Iterable[str]) -> list[str]:
        """The players who have not been claimed since the session was loaded."""
        return [p for p in player_ids if self.tokens.get(p) != self.token]


@dataclass(frozen=True)
class Seats:
    """The members of a session; they have no seats there any more if it is over."""

    over: bool
    members: set[str]


@dataclass
class Contest:
    """The result of settling claims of other sessions."""

    seated: dict[str, str] = field(default_factory=dict)
    """The session in which each of these players has a seat."""
    tokens: dict[str, str] = field(default_factory=dict)
    """The tokens under which these players are now claimed by the session that contested them."""
    failure: Exception | None = None
    """Why the claims of some session could not be settled; those of the others are."""


class Claims:
    """The claims of all players."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def take(
        self, hold: Hold, player_ids: Collection[str]
    ) -> tuple[set[str], dict[str, Claim]]:
        """Claim players for the session of the hold, after the session was loaded.

        Returns the players who do not exist, and those who are claimed by other sessions. The
        claims of those have to be contested. All others are claimed with the token of the hold.
        """
        missing: set[str] = set()
        foreign: dict[str, Claim] = {}
        moves: dict[str, str | None] = {p: hold.tokens.get(p) for p in player_ids}
        for _ in range(MAX_PASSES):
            try:
                if await self._move(moves, hold.session_id, hold.token) == len(moves):
                    hold.tokens |= dict.fromkeys(moves, hold.token)
                    break
            except OUTCOME_UNKNOWN:
                pass  # Whatever was moved is found now.
            found = await self._claims_of(moves)
            missing |= moves.keys() - found.keys()
            moves = {}
            for player_id, claim in found.items():
                if claim is None:
                    moves[player_id] = None
                elif claim.token == hold.token:
                    hold.tokens[player_id] = claim.token
                elif claim.session_id == hold.session_id:
                    moves[player_id] = claim.token
                    hold.shared.setdefault(player_id, claim.token)
                else:
                    foreign[player_id] = claim
            if not moves:
                break
        else:
            # Others keep changing these claims: leave them to the next attempt.
            busy = {p: Claim(hold.session_id, token or "") for p, token in moves.items()}
            foreign |= busy
        return missing, foreign

    async def contest(
        self, session_id: str | None, claims: Mapping[str, Claim], attempt: int, latency: float
    ) -> Contest:
        """Take claims away from the sessions that have them, concurrently for all sessions.

        The claims are moved to the session `session_id`; None frees them. Claims that are neither
        moved nor lead to a seat have to be looked at again. `attempt` counts from 0. `latency` is
        how many seconds it took to find the claims.
        """
        by_session: dict[str, dict[str, Claim]] = {}
        for player_id, claim in claims.items():
            by_session.setdefault(claim.session_id, {})[player_id] = claim
        result = Contest()

        async def settle(other: str, group: dict[str, Claim]) -> None:
            seated, free = await self._settle(session_id, other, group, attempt, latency)
            result.seated |= dict.fromkeys(seated, other)
            token = new_timed_token() if session_id is not None else None
            await self._move({p: claim.token for p, claim in free.items()}, session_id, token)
            if token is not None:
                result.tokens |= dict.fromkeys(free, token)

        settled = await asyncio.gather(
            *(settle(other, group) for other, group in by_session.items() if other != session_id),
            return_exceptions=True,
        )
        result.failure = next((e for e in settled if isinstance(e, Exception)), None)
        return result

    async def _settle(
        self,
        session_id: str | None,
        other: str,
        claims: dict[str, Claim],
        attempt: int,
        latency: float,
    ) -> tuple[set[str], dict[str, Claim]]:
        """Make sure that claims of another session can no longer lead to seats.

        Returns the players who have seats there, and the claims that may be moved now. Players in
        neither have to be looked at again.
        """
        precedes = session_id is not None and session_id < other
        step = min(max(2 * latency, SHORTEST_PATIENCE), LONGEST_PATIENCE)
        remaining = (
            0 if all(c.stale for c in claims.values()) else patience(step, precedes, attempt)
        )
        waited = remaining > 0
        seated: set[str] = set()
        while True:
            pause = min(step, remaining)
            await asyncio.sleep(pause)
            remaining -= pause
            session = await self._seats_of(other)
            if session is not None and session.over:
                return seated, claims
            members = session.members if session is not None else set()
            seated |= claims.keys() & members
            claims = {p: claim for p, claim in claims.items() if p not in members}
            if not claims or remaining <= 0:
                break
        if waited and claims:
            claims = await self._unsettled(other, claims, precedes)
        if session is None:  # It may be about to be inserted.
            claims = {p: claim for p, claim in claims.items() if claim.stale}
        if claims and not await self._fence(other, claims.keys(), exists=session is not None):
            claims = {}
        return seated, claims

    async def _seats_of(self, session_id: str) -> "Seats | None":
        """The seats of a session; None if there is no such session."""
        session = await self._connection.run(
            "find",
            lambda database: database[SESSIONS].find_one(
                {"_id": session_id}, {"status": 1, "version": 1, "members.player_id": 1}
            ),
        )
        if session is None:
            return None
        if "version" not in session:  # A tombstone.
            return Seats(over=True, members=set())
        members = {member["player_id"] for member in session["members"]}
        return Seats(over=session["status"] not in LIVE, members=members)

    async def _unsettled(
        self, session_id: str, claims: Mapping[str, Claim], precedes: bool
    ) -> dict[str, Claim]:
        """The claims of a session that have to be settled after the time of patience.

        A claim with a new token has an owner that makes progress. Only a session that precedes
        the owner settles it nevertheless.
        """
        found = await self._claims_of(claims.keys())
        return {
            player_id: claim
            for player_id, claim in found.items()
            if claim is not None and claim.session_id == session_id
            if precedes or claim == claims[player_id]
        }

    async def _fence(self, session_id: str, player_ids: Collection[str], exists: bool) -> bool:
        """Stop every writer that has loaded the session, unless one of the players has a seat.

        A session that does not exist is replaced by a tombstone. Returns False if a player was
        seated, or if the session was inserted or removed, in the meantime.
        """
        try:
            result = await self._connection.run(
                "update",
                lambda database: database[SESSIONS].update_one(
                    {"_id": session_id, "members.player_id": {"$nin": list(player_ids)}},
                    {"$inc": {"revision": 1}}
                    | (
                        {}
                        if exists
                        else {"$setOnInsert": {"purge_at": utc_now() + TOMBSTONE_LIFETIME}}
                    ),
                    upsert=not exists,
                ),
            )
        except DuplicateKeyError:
            return False
        return result.matched_count == 1 or result.upserted_id is not None

    async def release(self, hold: Hold, tokens: Mapping[str, str]) -> None:
        """Free the claims of these players that still have these tokens.

        Another writer of the session may be about to seat a shared player. Such a claim is freed
        only after that writer has lost its guard, and given back if it has seated the player.
        """
        shared = {
            p: hold.shared[p]
            for p, t in tokens.items()
            if p in hold.shared and hold.tokens.get(p) == t
        }
        if shared and await self._is_unused(hold.session_id, shared.keys()):
            shared = {}
        await self._move({p: t for p, t in tokens.items() if p not in shared}, None, None)
        await self.replace(hold.session_id, tokens, shared)

    async def _is_unused(self, session_id: str, player_ids: Collection[str]) -> bool:
        """Whether none of these players has a seat in the session, or can get one by a writer that
        has loaded it already."""
        if await self._fence(session_id, player_ids, exists=True):
            return True
        seats = await self._seats_of(session_id)
        return seats is None or seats.over

    async def replace(
        self, session_id: str, old: Mapping[str, str], new: Mapping[str, str]
    ) -> None:
        """Replace the tokens of claims of a session that still have the old tokens.

        A claim needs the token of the seat, by which it will be released. When two writers of a
        session have claimed the same player, the second one has to restore the token of the first.
        """
        await self._update(
            [
                (
                    {"_id": player_id, "session_id": session_id, "claim": old[player_id]},
                    {"$set": {"claim": token}},
                )
                for player_id, token in new.items()
            ]
        )

    async def _claims_of(self, player_ids: Collection[str]) -> dict[str, Claim | None]:
        """The claims of those of these players who exist; None if a player is free."""
        documents = await self._connection.run(
            "find",
            lambda database: database[PLAYERS]
            .find(
                {"_id": {"$in": list(player_ids)}},
                {"session_id": 1, "claim": 1},
                batch_size=len(player_ids) + 1,
            )
            .to_list(),
        )
        return {
            document["_id"]: (
                None
                if document["session_id"] is None
                else Claim(document["session_id"], str(document["claim"]))
            )
            for document in documents
        }

    async def _move(
        self, moves: Mapping[str, str | None], session_id: str | None, token: str | None
    ) -> int:
        """Set the claims that still have the given tokens (None: that are free).

        Returns the number of claims that were set.
        """
        return await self._update(
            [
                (
                    {"_id": player_id} | ({"session_id": None} if old is None else {"claim": old}),
                    {"$set": {"session_id": session_id, "claim": token}},
                )
                for player_id, old in moves.items()
            ]
        )

    async def _update(self, updates: Sequence[tuple[Document, Document]]) -> int:
        """Apply updates, each of them to the player that its filter matches, by one command.

        Returns the number of players that were matched.
        """
        if not updates:
            return 0
        if len(updates) == 1:  # The driver takes much longer for a list of updates.
            query, update = updates[0]
            updated = await self._connection.run(
                "update", lambda database: database[PLAYERS].update_one(query, update)
            )
            return updated.matched_count
        operations = [UpdateOne(query, update) for query, update in updates]
        written = await self._connection.run(
            "update", lambda database: database[PLAYERS].bulk_write(operations, ordered=False)
        )
        return written.matched_count


def patience(step: float, precedes: bool, attempt: int) -> float:
    """How many seconds to wait before the claims of another session are settled.

    Of two sessions, the one with the smaller id precedes the other. It waits for one step only, in
    which the other one may finish. The other one waits longer than the first one needs to get all
    of its players, and longer with each attempt.
    """
    factor: float = 1 if precedes else 4 * 2**attempt
    return step * factor * random.uniform(0.75, 1.25)
