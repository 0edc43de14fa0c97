"""The filters of the session list."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from game_api.database.client import Document
from game_api.values import LIVE

NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
LEADING = ("host_player_id", "ended_at", "status")
"""The conditions that select the fewest sessions; `indexed_query` has them first, in this order."""


@dataclass(frozen=True)
class SessionFilter:
    """The criteria of a list of sessions; None and empty values match every live session."""

    status: tuple[str, ...] = ()
    """The statuses to select; empty for all live sessions."""
    game_mode: str | None = None
    region: str | None = None
    min_free_slots: int | None = None
    host_player_id: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    joinable: bool = False
    """Whether to select only the sessions that a new player may join."""

    def query(self) -> Document:
        """The filter for the database. It never matches private sessions."""
        query: Document = {
            "visibility": "public",
            "status": {"$in": sorted(set(self.status) or LIVE)},
        }
        if self.game_mode is not None:
            query["game_mode"] = self.game_mode
        if self.region is not None:
            query["region"] = self.region
        free_slots = max(self.min_free_slots or 0, int(self.joinable))
        if free_slots:
            query["free_slots"] = {"$gte": free_slots}
        if self.joinable:
            query["$or"] = [{"status": "waiting"}, {"status": "active", "join_in_progress": True}]
        if self.host_player_id is not None:
            query["host_player_id"] = self.host_player_id
        for key, text in self.attributes.items():
            query[f"attributes.{key}"] = {"$in": interpretations(text)}
        return query

    def indexed_query(self) -> Document:
        """`query` in the form that an index serves; it matches the same sessions.

        A session has an `ended_at` exactly if it is not live, in every version of the service. So
        `ended_at: null` leads to the live sessions in the index `live`, however many ended ones are
        kept, and needs no field that an older process would leave out. `docs/scaling.md` shows what
        is read for each list. This is no part of `query`, because the cursors of all versions
        contain a digest of it.
        """
        query = self.query()
        statuses = query["status"]["$in"]
        if len(statuses) == 1:
            query["status"] = statuses[0]  # A single value keeps the order of the index.
        if LIVE.issuperset(statuses):
            query["ended_at"] = None
        # The embedded database uses an index of the first condition that has one.
        return {key: query[key] for key in LEADING if key in query} | query


def interpretations(text: str) -> list[str | int | float | bool]:
    """The attribute values that a text may stand for: `5` is a number as well as a string."""
    values: list[str | int | float | bool] = [text]
    if text in ("true", "false"):
        values.append(text == "true")
    elif number := NUMBER.fullmatch(text):
        if number[2] is None and number[3] is None and -(2**63) <= int(text) < 2**63:
            values.append(int(text))
        elif float(text) not in (float("inf"), float("-inf")):
            values.append(float(text))
    return values
