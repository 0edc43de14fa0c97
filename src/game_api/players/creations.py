"""Creations of players that may be repeated: each is made once, even if the player is gone since.

Every attempt of a creation inserts the same document, whose `birth` is unique. So only one of the
insertions can succeed, however late they arrive. When such a player is deleted, or when the
creation is refused although an earlier attempt may still insert the player, a *trace* takes the
`birth`. It is a document of the same collection, with an `_id` that no player can have.
"""

from pymongo.errors import DuplicateKeyError

from game_api.access.errors import Forbidden
from game_api.access.idempotency import TRACE_LIFETIME
from game_api.clock import utc_now
from game_api.database.client import Document
from game_api.database.connection import Connection
from game_api.database.errors import OUTCOME_UNKNOWN
from game_api.errors import ApiError, DatabaseUnavailable
from game_api.ids import new_token
from game_api.players.errors import PlayerExists, UsernameTaken
from game_api.players.model import Player
from game_api.values import INCARNATION

PLAYERS = +Player
BEHIND_TRACES = ","
"""Sorts behind the `_id` of every trace, and before that of every player."""
REFUSALS: dict[str, type[ApiError]] = {kind.code: kind for kind in (PlayerExists, UsernameTaken)}


def trace(player: Player, refused: str | None) -> Document:
    """The trace of a creation that was made, or that was refused with this code."""
    name = f"!{player.creation}"
    return {
        "_id": name,
        "username_key": name,  # It has to be unique, so it can't be absent.
        INCARNATION: player.creation,
        "refused": refused,
        "purge_at": utc_now() + TRACE_LIFETIME,
    }


class Creations:
    """The outcomes of creations that may be repeated."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def made(self, player: Player) -> bool:
        """Whether the player was created, and may be deleted since.

        Raises the error with which the creation was refused, or Forbidden if the caller had other
        roles in an earlier attempt, and an absent id stood for another player.
        """
        # The order matters: the trace is there before the player is deleted.
        found = await self._find({"_id": player.id})
        if found is not None and found.get("creation") == player.creation:
            return True
        # DocumentDB uses the sparse index only for a query with `$exists`.
        found = await self._find({INCARNATION: {"$eq": player.creation, "$exists": True}})
        if found is None:
            return False
        if "version" in found and found["_id"] != player.id:
            raise Forbidden("The request began with another role.")
        if code := found.get("refused"):
            raise REFUSALS[code]()
        return True

    async def close(self, player: Player, refusal: ApiError) -> None:
        """Make sure that no attempt can create the player any more, and raise the refusal.

        Returns if an earlier attempt has created the player already. Raises DatabaseUnavailable if
        that can't be determined.
        """
        document = trace(player, refusal.code)
        try:
            await self._connection.run(
                "insert", lambda database: database[PLAYERS].insert_one(document)
            )
        except (DuplicateKeyError, *OUTCOME_UNKNOWN):
            pass  # What is there now decides.
        if not await self.made(player):
            raise DatabaseUnavailable()

    async def leave_trace(self, player: Player) -> bool:
        """Leave a trace of a player who is about to be deleted, who gets another `birth`.

        Returns False if the player was changed since it was loaded.
        """
        if player.incarnation == player.creation:
            other = new_token()
            guard = {"_id": player.id, INCARNATION: player.creation, "version": player.version}
            result = await self._connection.run(
                "update",
                lambda database: database[PLAYERS].update_one(
                    guard, {"$set": {INCARNATION: other}}
                ),
            )
            if result.matched_count == 0:
                return False
            player.incarnation = other
        fields = trace(player, refused=None)
        query = {"_id": fields.pop("_id")}
        # It takes the place of the trace of a refusal that has not been decided yet.
        changes = {name: fields.pop(name) for name in ("refused", "purge_at")}
        update = {"$set": changes, "$setOnInsert": fields}
        await self._connection.run(
            "update", lambda database: database[PLAYERS].update_one(query, update, upsert=True)
        )
        return True

    async def _find(self, query: Document) -> Document | None:
        return await self._connection.run(
            "find", lambda database: database[PLAYERS].find_one(query)
        )
