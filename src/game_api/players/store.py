"""Players in the database."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pymongo.errors import DuplicateKeyError

from game_api.database.client import Document
from game_api.database.connection import Connection, insert
from game_api.database.documents import document_of, model_of
from game_api.database.errors import OUTCOME_UNKNOWN
from game_api.errors import ApiError, DatabaseUnavailable
from game_api.ids import new_token
from game_api.players.creations import BEHIND_TRACES, PLAYERS, Creations
from game_api.players.errors import InSession, PlayerExists, PlayerNotFound, UsernameTaken
from game_api.players.model import Player, PlayerUpdate
from game_api.seats.claims import Claim, Claims
from game_api.values import INCARNATION

Result = TypeVar("Result")
Rule = Callable[[Player], Result]
"""Changes the player that it is given, raises an error, or changes nothing."""

CHANGEABLE = {*PlayerUpdate.__annotations__, "username_key", "updated_at", "version", "write"}
"""The fields that a change writes; the claim is not among them, because it belongs to sessions."""


class PlayerStore:
    """The players of one database."""

    def __init__(self, connection: Connection, claims: Claims) -> None:
        self._connection = connection
        self._claims = claims
        self._creations = Creations(connection)

    async def find(self, player_id: str) -> Document:
        """The document of a player, for those who only read it. Raises PlayerNotFound."""
        document = await self._find(player_id)
        if document is None:
            raise PlayerNotFound(player_id)
        return document

    async def get(self, player_id: str) -> Player:
        """Raises PlayerNotFound."""
        return model_of(Player, await self.find(player_id))

    async def list(
        self, username: str | None, limit: int, after: str | None = None
    ) -> Sequence[Document]:
        """The documents of at most `limit` players.

        They are sorted by player_id, and start behind the player_id `after`.
        """
        query: Document = {"_id": {"$gt": after or BEHIND_TRACES}}
        if username is not None:
            query["username_key"] = username.lower()
        return await self._connection.run(
            "find",
            lambda database: database[PLAYERS]
            .find(query, sort=[("_id", 1)], limit=limit, batch_size=limit + 1)
            .to_list(),
        )

    async def create(self, player: Player, repeated: bool = False) -> None:
        """Insert a new player; if this is `repeated`, only if no earlier attempt has done so.

        Raises PlayerExists, UsernameTaken, or DatabaseUnavailable if the outcome is unknown. After
        an error of a repeated creation, no attempt creates the player any more.
        """
        if repeated and await self._creations.made(player):
            return
        while await insert(self._connection, PLAYERS, document_of(player)) == "refused":
            if player.creation is not None and await self._creations.made(player):
                return  # Another attempt of the same request was faster.
            refusal = await self._refusal(player)
            if refusal is None:
                continue  # The other player was deleted. It is certain that nothing was inserted.
            if not repeated:
                raise refusal
            return await self._creations.close(player, refusal)

    async def _refusal(self, player: Player) -> ApiError | None:
        """Why the player can't be created; None if nothing is in the way any more."""
        if await self._find(player.id):
            return PlayerExists()
        if await self.list(player.username, limit=1):
            return UsernameTaken()
        return None

    async def change(self, player_id: str, rule: Rule[Result]) -> tuple[Player, Result]:
        """Apply a rule to a player.

        Returns the player as the rule left it, and the result of the rule. Raises what the rule
        raises, PlayerNotFound or UsernameTaken.
        """
        while True:
            player = await self.get(player_id)
            changed = player.model_copy()
            result = rule(changed)
            if changed.version == player.version:
                return player, result
            if await self._write(player, changed):
                return changed, result

    async def delete(self, player_id: str, check: Callable[[Player], None]) -> None:
        """Delete a player who has no seat, if `check` does not raise an error.

        Raises what `check` raises, PlayerNotFound or InSession.
        """
        unanswered: Player | None = None
        attempt = 0
        while True:
            try:
                player = await self.get(player_id)
            except PlayerNotFound:
                if unanswered:
                    return  # The player was deleted; only the response was lost.
                raise
            if unanswered and unanswered.incarnation != player.incarnation:
                return  # The same, and another player has taken the id since.
            check(player)
            if player.session_id is not None:
                seat = await self._vacate(player, attempt)
                attempt += 1
                if seat is not None:
                    if unanswered:  # The first deletion may still arrive, once the seat is free.
                        raise DatabaseUnavailable()
                    raise InSession(seat)
                continue
            if player.creation is not None and not await self._creations.leave_trace(player):
                continue
            try:
                if await self._delete(player):
                    return
            except OUTCOME_UNKNOWN:
                if unanswered:
                    raise
                unanswered = player

    async def _find(self, player_id: str) -> Document | None:
        return await self._connection.run(
            "find", lambda database: database[PLAYERS].find_one({"_id": player_id})
        )

    async def _write(self, player: Player, changed: Player) -> bool:
        """Write a change; returns False if another one was written first.

        Once a response is lost, a refusal is raised only if the write can never arrive any more.
        Raises UsernameTaken, or DatabaseUnavailable if the outcome can't be determined.
        """
        changed.write = new_token()
        lost = False
        for _ in range(2):
            try:
                if await self._update(player, changed):
                    return True
                if not lost:
                    return False
            except DuplicateKeyError:
                if lost:  # The first attempt may still arrive, once the username is free again.
                    raise DatabaseUnavailable() from None
                raise UsernameTaken() from None
            except OUTCOME_UNKNOWN:
                if lost:
                    raise
                lost = True
            found = await self._find(player.id)
            if found is None or found[INCARNATION] != player.incarnation:
                raise DatabaseUnavailable()
            if found.get("write") == changed.write:
                return True
            if found["version"] == changed.version:
                return False  # This version is another change, so the guard never matches again.
            if found["version"] > changed.version:
                raise DatabaseUnavailable()
        raise DatabaseUnavailable()

    async def _update(self, player: Player, changed: Player) -> bool:
        """Write a change, unless another one was written since the player was loaded."""
        fields = {k: value for k, value in document_of(changed).items() if k in CHANGEABLE}
        result = await self._connection.run(
            "update",
            lambda database: database[PLAYERS].update_one(guard(player), {"$set": fields}),
        )
        return result.matched_count == 1

    async def _vacate(self, player: Player, attempt: int) -> str | None:
        """Free the claim of a player who has no seat; returns the session if there is a seat."""
        claim = Claim(player.session_id or "", player.claim or "")
        contest = await self._claims.contest(None, {player.id: claim}, attempt, latency=0)
        if contest.failure is not None:
            raise contest.failure
        return contest.seated.get(player.id)

    async def _delete(self, player: Player) -> bool:
        """Delete a player, unless the player was changed or claimed since it was loaded."""
        result = await self._connection.run(
            "delete",
            lambda database: database[PLAYERS].delete_one(guard(player) | {"session_id": None}),
        )
        return result.deleted_count == 1


def guard(player: Player) -> Document:
    """The filter that matches the player only in this version."""
    return {"_id": player.id, INCARNATION: player.incarnation, "version": player.version}
