"""Claims: the protocol that gives each player at most one seat, without transactions or timers.

A player's document names the session that claims the player (`session_id`) and carries the token of
the writer that set it (`claim`). The following always holds, whichever process dies or hangs:

    A player who has a seat in a live session is claimed by that session.

- To seat a player, a writer first loads the session. It then sets the claim with a token that is
  new for this load, and finally writes the session, guarded by the revision that it loaded.
- A claim without a seat belongs to a writer that has died, or that is about to write. To take it
  away, the session's revision is incremented first. Then the claim is moved, provided that it still
  has the same token. Every writer that loaded the session before loses its guard. A writer that
  loads it afterwards has to claim the player again with a new token, and then the move matches
  nothing. If the session does not exist yet, a tombstone takes its place, so that inserting the
  session fails.
- A claim is released only under its token, so that a late release can't affect a newer claim.
"""

import asyncio
import itertools
import random
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass

from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from game_api.database.client import Document
from game_api.database.connection import Connection
from game_api.ids import new_token
from game_api.values import LIVE

PLAYERS, SESSIONS = "players", "sessions"

PATIENCE = 0.1
"""About how many seconds the owner of a claim may take before another writer settles the claim.

Only speed depends on it: it prevents writers that want the same players from undoing each other's
work forever."""


@dataclass(frozen=True)
class Seat:
    """A seat of a player in a live session."""

    session_id: str


class Hold:
    """The claims that one writer holds for one session, across all of its attempts."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.token = new_token()
        self.tokens: dict[str, str] = {}
        """The token under which each player was claimed."""
        self.shared: set[str] = set()
        """Players who were already claimed by another writer of this session. That writer may still
        seat them, so these claims are never released."""

    def renew(self) -> None:
        """Start over after the session was loaded again: all players have to be claimed again."""
        self.token = new_token()

    def unclaimed(self, player_ids: Iterable[str]) -> list[str]:
        """The players who have not been claimed since the session was loaded."""
        return [p for p in player_ids if self.tokens.get(p) != self.token]

    def unused(self, seated: Container[str]) -> dict[str, str]:
        """The tokens of the claims that did not lead to a seat."""
        return {
            player_id: token
            for player_id, token in self.tokens.items()
            if player_id not in seated and player_id not in self.shared
        }


class Claims:
    """The claims of all players."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def take(self, hold: Hold, player_ids: Iterable[str]) -> dict[str, Seat | None]:
        """Claim players for the session of the hold, after the session was loaded.

        Returns the players who can't be seated there, each with the seat in another session, or
        with None if there is no such player.
        """
        refused: dict[str, Seat | None] = {}
        wanted = set(player_ids)
        moves = {player_id: hold.tokens.get(player_id) for player_id in wanted}
        seen: dict[str, str] = {}
        for attempt in itertools.count(1):
            if await self._move(moves, hold.session_id, hold.token) == len(wanted):
                hold.tokens |= dict.fromkeys(wanted, hold.token)
                break
            claims = await self._claims_of(wanted)
            refused |= dict.fromkeys(wanted - claims.keys())
            moves, foreign = movable(hold, claims)
            wanted = moves.keys() | foreign.keys()
            contested = False
            for player_id, (session_id, token) in foreign.items():
                patient = seen.get(player_id) != token
                seen[player_id] = token
                outcome = await self._settle(player_id, session_id, token, patient)
                if isinstance(outcome, Seat):
                    refused[player_id] = outcome
                elif outcome is None:
                    contested = True
                else:
                    moves[player_id] = outcome
            wanted -= refused.keys()
            if not wanted:
                break
            if contested:
                await asyncio.sleep(PATIENCE * attempt * random.uniform(0.5, 1.5))
        return refused

    async def _claims_of(self, player_ids: Collection[str]) -> dict[str, Document]:
        """The claims of those of these players who exist."""
        documents = await self._connection.run(
            lambda database: database[PLAYERS]
            .find(
                {"_id": {"$in": list(player_ids)}},
                {"session_id": 1, "claim": 1},
                batch_size=len(player_ids) + 1,
            )
            .to_list()
        )
        return {document["_id"]: document for document in documents}

    async def _move(
        self, moves: Mapping[str, str | None], session_id: str | None, token: str | None
    ) -> int:
        """Set the claims that still have the given tokens (None: that are free).

        Returns the number of claims that were set.
        """
        if not moves:
            return 0
        updates = [
            UpdateOne(
                {"_id": player_id} | ({"session_id": None} if old is None else {"claim": old}),
                {"$set": {"session_id": session_id, "claim": token}},
            )
            for player_id, old in moves.items()
        ]
        result = await self._connection.run(
            lambda database: database[PLAYERS].bulk_write(updates, ordered=False)
        )
        return result.matched_count

    async def _settle(
        self, player_id: str, session_id: str, token: str, patient: bool = False
    ) -> str | Seat | None:
        """Make sure that a claim can no longer lead to a seat.

        Returns the token from which the claim may be moved, or the seat that the player has there.
        Returns None if the caller has to look again, because another writer was faster or, if
        `patient`, because the owner of the claim may be about to seat the player.
        """
        session = await self._connection.run(
            lambda database: database[SESSIONS].find_one(
                {"_id": session_id}, {"status": 1, "version": 1, "members.player_id": 1}
            )
        )
        if session is not None:
            if "version" not in session or session["status"] not in LIVE:
                return token  # A tombstone, or a session that has ended: nobody is seated there.
            if any(member["player_id"] == player_id for member in session["members"]):
                return Seat(session_id)
        if patient:
            return None
        try:
            # If there is no such session, this inserts the tombstone. If the player was seated in
            # the meantime, it matches nothing, and inserting the same `_id` fails.
            await self._connection.run(
                lambda database: database[SESSIONS].update_one(
                    {"_id": session_id, "members.player_id": {"$ne": player_id}},
                    {"$inc": {"revision": 1}},
                    upsert=True,
                )
            )
        except DuplicateKeyError:
            return None
        return token

    async def vacate(self, player_id: str, session_id: str, token: str) -> Seat | None:
        """Free a claim that has no seat, unless another writer is faster.

        Returns the seat if there is one.
        """
        outcome = await self._settle(player_id, session_id, token)
        if isinstance(outcome, Seat):
            return outcome
        if outcome is not None:
            await self.release({player_id: outcome})
        return None

    async def release(self, tokens: Mapping[str, str]) -> None:
        """Free the claims of these players that still have these tokens."""
        await self._move(tokens, None, None)


def movable(
    hold: Hold, claims: Mapping[str, Document]
) -> tuple[dict[str, str | None], dict[str, tuple[str, str]]]:
    """Divide claims into those that the hold may move, and those of other sessions.

    Returns the tokens to move from (None: the claim is free), and the session and token of each
    claim that has to be settled first. Claims that the hold has already are in neither.
    """
    moves: dict[str, str | None] = {}
    foreign: dict[str, tuple[str, str]] = {}
    for player_id, claim in claims.items():
        session_id, token = claim["session_id"], claim["claim"]
        if token == hold.token:
            hold.tokens[player_id] = token
        elif session_id is None:
            moves[player_id] = None
        elif session_id == hold.session_id:
            moves[player_id] = token
            hold.shared.add(player_id)
        else:
            foreign[player_id] = (session_id, str(token))
    return moves, foreign
