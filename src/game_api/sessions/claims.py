"""Claims: what keeps a player from two seats, without transactions and without timers.

A player's document names the session that claims the player (`session_id`) and carries a token of
whoever set it (`claim`). What holds at any moment, whichever process dies or hangs where:

    a player who has a seat in a live session is claimed by that session.

- To seat a player, a writer first loads the session, then makes the claim its own with a token
  that is new for this load, then writes the session under the guard of the revision it loaded.
- To take a claim away from a session where the player is not seated (its writer has died, or is
  about to write), the session's revision is raised first, and then the claim is moved, if its
  token is still the same: every writer who loaded before loses the guard, and whoever loads from
  now on needs a new token, which the move then misses. If the session is not there yet, a
  tombstone in its place makes its insertion fail.
- A claim is released under its token, so that a late release never harms a newer claim.
"""

import asyncio
import itertools
import random
from collections.abc import Collection, Container, Iterable, Mapping

from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError

from game_api.database import Collections, Document
from game_api.errors import AlreadyInSession, ApiError, PlayerNotFound
from game_api.ids import new_token
from game_api.players.model import Player
from game_api.sessions.model import LIVE, Session

PATIENCE = 0.1
"""Seconds, about, that the owner of a claim gets to take the seat before the claim is settled.
Nothing depends on it but speed: it keeps writers that want the same players from undoing each
other's work for ever."""


class Hold:
    """The claims that one writer holds for one session, through all of its attempts."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.token = new_token()
        self.tokens: dict[str, str] = {}
        """The token that each player was claimed with."""
        self.shared: set[str] = set()
        """Players whose claim another writer for this session had: it may seat them still, so
        these are not ours to release."""

    def renew(self) -> None:
        """The session was loaded anew: what was claimed before has to be claimed again."""
        self.token = new_token()

    def lacks(self, player_ids: Iterable[str]) -> list[str]:
        """Those of the players who have not been claimed since the session was loaded."""
        return [p for p in player_ids if self.tokens.get(p) != self.token]

    def unused(self, seated: Container[str]) -> dict[str, str]:
        """The tokens of claims that have become no seat."""
        return {
            player_id: token
            for player_id, token in self.tokens.items()
            if player_id not in seated and player_id not in self.shared
        }


class Claims:
    """The claims of all players."""

    def __init__(self, database: Collections) -> None:
        self._players = database[+Player]
        self._sessions = database[+Session]

    async def take(self, hold: Hold, player_ids: Iterable[str]) -> dict[str, ApiError]:
        """Claim players for the hold's session, after it was loaded.

        Returns why a player can't be seated there: unknown, or seated elsewhere.
        """
        refused: dict[str, ApiError] = {}
        wanted = set(player_ids)
        moves = {player_id: hold.tokens.get(player_id) for player_id in wanted}
        seen: dict[str, str] = {}
        for attempt in itertools.count(1):
            if await self._move(moves, hold.session_id, hold.token) == len(wanted):
                hold.tokens |= dict.fromkeys(wanted, hold.token)
                break
            moves = {}
            unsettled = []
            contested = False
            for claim in await self._claims_of(wanted, refused):
                player_id = claim["_id"]
                if claim["claim"] == hold.token:
                    hold.tokens[player_id] = hold.token
                    wanted.discard(player_id)
                elif claim["session_id"] is None:
                    moves[player_id] = None
                elif claim["session_id"] == hold.session_id:
                    moves[player_id] = claim["claim"]
                    hold.shared.add(player_id)
                else:
                    unsettled.append(claim)
            for claim in unsettled:
                player_id = claim["_id"]
                outcome = await self._settle(claim, patient=seen.get(player_id) != claim["claim"])
                seen[player_id] = claim["claim"]
                if isinstance(outcome, ApiError):
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

    async def _claims_of(
        self, player_ids: Collection[str], refused: dict[str, ApiError]
    ) -> list[Document]:
        """The claims of these players; those who do not exist are refused."""
        cursor = self._players.find(
            {"_id": {"$in": list(player_ids)}},
            {"session_id": 1, "claim": 1},
            batch_size=len(player_ids) + 1,
        )
        claims = await cursor.to_list()
        for player_id in set(player_ids) - {claim["_id"] for claim in claims}:
            refused[player_id] = PlayerNotFound(player_id)
        return claims

    async def _move(
        self, moves: Mapping[str, str | None], session_id: str | None, token: str | None
    ) -> int:
        """Compare and set: claims with the token given for each (None: free ones); how many."""
        if not moves:
            return 0
        result = await self._players.bulk_write(
            [
                UpdateOne(
                    {"_id": player_id} | ({"session_id": None} if old is None else {"claim": old}),
                    {"$set": {"session_id": session_id, "claim": token}},
                )
                for player_id, old in moves.items()
            ],
            ordered=False,
        )
        return result.matched_count

    async def _settle(
        self, claim: Document, patient: bool = False
    ) -> str | None | AlreadyInSession:
        """Make sure that a claim can't become a seat any more.

        Returns the token to move it from, or that the player has a seat there, or None when the
        caller has to look again: somebody was quicker, or (when patient) the claim's owner may be
        about to take the seat.
        """
        player_id, session_id, token = claim["_id"], claim["session_id"], str(claim["claim"])
        seat = await self._sessions.find_one(
            {"_id": session_id}, {"status": 1, "version": 1, "members.player_id": 1}
        )
        if seat is not None:
            if "version" not in seat or seat["status"] not in LIVE:
                return token  # a tombstone, or over for good: nobody is seated there again
            if any(member["player_id"] == player_id for member in seat["members"]):
                return AlreadyInSession(session_id, player_id)
        if patient:
            return None
        try:
            # With the player seated meanwhile, this matches nothing and tries to insert the same
            # _id; with no such session, what it inserts is the tombstone.
            await self._sessions.update_one(
                {"_id": session_id, "members.player_id": {"$ne": player_id}},
                {"$inc": {"revision": 1}},
                upsert=True,
            )
        except DuplicateKeyError:
            return None
        return token

    async def vacate(self, player: Player) -> None:
        """Free a claim without a seat, unless somebody else is quicker.

        Raises AlreadyInSession when there is a seat.
        """
        if player.session_id is None:
            return
        outcome = await self._settle(
            {"_id": player.id, "session_id": player.session_id, "claim": player.claim}
        )
        if isinstance(outcome, AlreadyInSession):
            raise outcome
        if outcome is not None:
            await self._move({player.id: outcome}, None, None)

    async def release(self, tokens: Mapping[str, str]) -> None:
        """Free these players' claims, where they still have these tokens."""
        await self._move(tokens, None, None)
