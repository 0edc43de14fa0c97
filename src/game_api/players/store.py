"""Players in the database."""

from collections.abc import Sequence
from datetime import datetime

from pymongo.errors import DuplicateKeyError

from game_api.database import OUTCOME_UNKNOWN, Collections, Document, insert_new
from game_api.errors import (
    AlreadyInSession,
    DatabaseUnavailable,
    InSession,
    PlayerExists,
    PlayerNotFound,
    UsernameTaken,
)
from game_api.players.model import Player, PlayerChanges
from game_api.preconditions import Precondition
from game_api.sessions.claims import Claims

CHANGEABLE = {*PlayerChanges.__annotations__, "username_key", "updated_at", "version"}
"""What an update writes; never the claim, which belongs to sessions."""


class PlayerStore:
    """The players of one database."""

    def __init__(self, database: Collections, claims: Claims) -> None:
        self._players = database[+Player]
        self._claims = claims

    async def get(self, player_id: str) -> Player:
        """Raises PlayerNotFound."""
        document = await self._players.find_one({"_id": player_id})
        if document is None:
            raise PlayerNotFound(player_id)
        return Player.model_validate_doc(document)

    async def list(
        self, username: str | None, limit: int, after: str | None = None
    ) -> Sequence[Player]:
        """At most `limit` players by player_id, from after the one named `after`."""
        query: Document = {}
        if username is not None:
            query["username_key"] = username.lower()
        if after is not None:
            query["_id"] = {"$gt": after}
        cursor = self._players.find(query, sort=[("_id", 1)], limit=limit, batch_size=limit + 1)
        return [Player.model_validate_doc(document) for document in await cursor.to_list()]

    async def create(self, player: Player) -> None:
        """Raises PlayerExists or UsernameTaken."""
        if not await insert_new(self._players, player.model_dump_doc()):
            if await self._players.find_one({"_id": player.id}, {"_id": 1}):
                raise PlayerExists()
            raise UsernameTaken()

    async def update(
        self, player_id: str, changes: PlayerChanges, precondition: Precondition, now: datetime
    ) -> Player:
        """Change a player. Raises PlayerNotFound, VersionMismatch or UsernameTaken."""
        while True:
            player = await self.get(player_id)
            precondition.check(player.version)
            changed = player.with_changes(changes, now)
            if changed is player:
                return player
            try:
                if await self._write(player, changed):
                    return changed
            except DuplicateKeyError:
                raise UsernameTaken() from None

    async def _write(self, player: Player, changed: Player) -> bool:
        """Write a change unless another came first; tried once more when the answer is lost.

        Raises DatabaseUnavailable when it can't be told whether it was written.
        """
        guard = {"_id": player.id, "birth": player.birth, "version": player.version}
        unanswered = False
        for _ in range(2):
            try:
                result = await self._players.update_one(guard, {"$set": public(changed)})
                if result.matched_count:
                    return True
            except OUTCOME_UNKNOWN:
                if unanswered:
                    raise
                unanswered = True
            if not unanswered:
                return False
            found = await self._players.find_one({"_id": player.id, "birth": player.birth})
            if found is not None and public(Player.model_validate_doc(found)) == public(changed):
                return True
            if found is None or found["version"] != player.version:
                break
        raise DatabaseUnavailable()

    async def delete(self, player_id: str, precondition: Precondition) -> None:
        """Remove a player who has no seat. Raises PlayerNotFound, VersionMismatch, InSession."""
        unanswered: Player | None = None
        while True:
            try:
                player = await self.get(player_id)
            except PlayerNotFound:
                if unanswered:
                    return  # it was removed; only the answer was lost
                raise
            if unanswered and unanswered.birth != player.birth:
                return  # likewise, and there is another by this name already
            precondition.check(player.version)
            try:
                await self._claims.vacate(player)
            except AlreadyInSession as seat:
                if unanswered:  # the first try may arrive yet, once the seat is free
                    raise DatabaseUnavailable() from None
                raise InSession(seat.extra["session_id"]) from None
            try:
                # A claim that was taken since then keeps the player.
                result = await self._players.delete_one(
                    {
                        "_id": player_id,
                        "birth": player.birth,
                        "version": player.version,
                        "session_id": None,
                    }
                )
            except OUTCOME_UNKNOWN:
                if unanswered:
                    raise
                unanswered = player
                continue
            if result.deleted_count:
                return


def public(player: Player) -> Document:
    """The part of a player's document that an update writes."""
    return player.model_dump_doc(include=CHANGEABLE)
