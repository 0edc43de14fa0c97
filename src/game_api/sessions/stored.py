"""A session as the database holds it, for those who only read it."""

from dataclasses import dataclass

from game_api.database.client import Document
from game_api.values import LIVE


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session of which no model is made, because that would cost more than to show it."""

    document: Document

    @property
    def version(self) -> int:
        version: int = self.document["version"]
        return version

    @property
    def visibility(self) -> str:
        visibility: str = self.document["visibility"]
        return visibility

    @property
    def host_player_id(self) -> str | None:
        host: str | None = self.document["host_player_id"]
        return host

    @property
    def live(self) -> bool:
        return self.document["status"] in LIVE

    def member(self, player_id: str) -> Document | None:
        """The member with this id."""
        members: list[Document] = self.document["members"]
        return next((member for member in members if member["player_id"] == player_id), None)
