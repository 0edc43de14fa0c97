"""Players in the database."""

from collections.abc import Sequence
from datetime import datetime

from pymongo.errors import AutoReconnect, DuplicateKeyError

from game_api.database import Database, Document, insert_new
from game_api.errors import (
    AlreadyInSession,
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

    def __init__(self, database: Database, claims: Claims) -> None:
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
        unanswered: Player | None = None
        while True:
            player = await self.get(player_id)
            if unanswered and public(player) == public(unanswered):
                return player  # it was written; only the answer was lost
            precondition.check(player.version)
            changed = player.with_changes(changes, now)
            if changed is player:
                return player
            try:
                result = await self._players.update_one(
                    {"_id": player_id, "version": player.version},
                    {"$set": public(changed)},
                )
            except DuplicateKeyError:
                raise UsernameTaken() from None
            except AutoReconnect:
                if unanswered:
                    raise
                unanswered = changed
                continue
            if result.matched_count:
                return changed

    async def delete(self, player_id: str, precondition: Precondition) -> None:
        """Remove a player who has no seat. Raises PlayerNotFound, VersionMismatch, InSession."""
        unanswered = False
        while True:
            try:
                player = await self.get(player_id)
            except PlayerNotFound:
                if unanswered:
                    return  # it was removed; only the answer was lost
                raise
            precondition.check(player.version)
            try:
                await self._claims.vacate(player)
            except AlreadyInSession as seat:
                raise InSession(seat.extra["session_id"]) from None
            try:
                # A claim that was taken since then keeps the player.
                result = await self._players.delete_one(
                    {"_id": player_id, "session_id": None, "version": player.version}
                )
            except AutoReconnect:
                if unanswered:
                    raise
                unanswered = True
                continue
            if result.deleted_count:
                return


def public(player: Player) -> Document:
    """The part of a player's document that an update writes."""
    return player.model_dump_doc(include=CHANGEABLE)
