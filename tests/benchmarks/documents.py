"""The documents that the operations work on, stored as the models of the service store them."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

from pymongo import MongoClient

from game_api.app import MODELS
from game_api.database.client import Document
from game_api.database.indexes import declared
from game_api.players.model import Player
from game_api.sessions.model import Member, Session
from tests.build import NOW

PLAYERS, SESSIONS = +Player, +Session
BATCH = 500

ACTORS = 64
"""How many clients that change documents of their own there can be at once."""
READ_PLAYERS = 200
NEW_PLAYER, NEW_MODE = "new-", "created"
"""What the ids of created players begin with, and the mode of created sessions."""
SESSIONS_OF_8, SESSIONS_OF_64, LISTED_SESSIONS = (
    range(1000, 1050),
    range(2000, 2020),
    range(5000, 5040),
)
JOINED_SESSIONS, UPDATED_SESSIONS = range(3000, 3000 + ACTORS), range(4000, 4000 + ACTORS)


def session_id(number: int) -> str:
    return f"01a2056d-dfd3-75a7-bfde-{number:012x}"


def host_of(number: int) -> str:
    """The player who hosts a session."""
    return f"m{number}-0"


def claim_of(player_id: str) -> str:
    """The token of the claim of a seated player."""
    return f"{player_id:0>32}"[-32:]


def player(player_id: str, **changes: Any) -> Document:
    """The document of a player without a seat."""
    values: dict[str, Any] = {
        "id": player_id,
        "username": f"User-{player_id}",
        "username_key": f"user-{player_id}",
        "display_name": f"The {player_id}",
        "region": "eu-central-1",
        "rating": 1200,
        "attributes": {"level": 5, "title": "Captain", "ranked": True},
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Player(**(values | changes)).model_dump_doc()


def session(
    number: int, members: Sequence[str] = (), ready: bool = False, **changes: Any
) -> Document:
    """The document of a session in which these players have seats; half of them may be ready.

    It also has the `player_count` that peers store.
    """
    seats = tuple(
        Member(
            player_id=player_id,
            team="red" if place % 2 else "blue",
            ready=ready and place % 2 == 1,
            joined_at=NOW + timedelta(seconds=place),
            claim=claim_of(player_id),
        )
        for place, player_id in enumerate(members)
    )
    max_players = changes.get("max_players", 16)
    values: dict[str, Any] = {
        "id": session_id(number),
        "name": f"Session {number}",
        "game_mode": "duel",
        "region": "eu-central-1",
        "max_players": max_players,
        "free_slots": max_players - len(seats),
        "host_player_id": members[0] if members else None,
        "members": seats,
        "attributes": {"map": "harbour", "level": 5, "ranked": True},
        "created_at": NOW,
        "updated_at": NOW,
        "version": 1 + len(seats),
        "revision": 1 + len(seats),
        "writes": tuple(f"{write:032x}" for write in range(len(seats))[-16:]),
    }
    return Session(**(values | changes)).model_dump_doc() | {"player_count": len(seats)}


def seated(number: int, size: int, **changes: Any) -> Document:
    """A session with so many members, of whom the first one is the host."""
    return session(number, [f"m{number}-{place}" for place in range(size)], **changes)


def insert(client: "MongoClient[Document]", name: str, **documents: Iterable[Document]) -> None:
    """Insert documents into collections of a database."""
    for collection, given in documents.items():
        rest = iter(given)
        while batch := list(islice(rest, BATCH)):
            client[name][collection].insert_many(batch)


def create_indexes(client: "MongoClient[Document]", name: str) -> None:
    """The indexes of the service, so that the database does the same work for every variant."""
    for collection, index in declared(MODELS):
        client[name].command({"createIndexes": collection, "indexes": [index]})


def seed(uri: str, name: str) -> None:
    """A new database with the documents that the operations work on."""
    players = [f"p{n}" for n in range(READ_PLAYERS)] + [f"j{n}" for n in range(ACTORS)]
    sessions = [
        *(seated(number, 8, ready=True) for number in SESSIONS_OF_8),
        *(seated(number, 64, ready=True, max_players=64) for number in SESSIONS_OF_64),
        *(seated(number, 7) for number in JOINED_SESSIONS),
        *(seated(number, 8) for number in UPDATED_SESSIONS),
        *(seated(number, 8, ready=True, game_mode="ranked") for number in LISTED_SESSIONS),
    ]
    with MongoClient[Document](uri, tz_aware=True) as client:
        client.drop_database(name)
        create_indexes(client, name)
        insert(client, name, **{PLAYERS: map(player, players), SESSIONS: sessions})


def remove_created(uri: str, name: str) -> None:
    """Remove what the operations have created, which would make the lists slower and slower."""
    with MongoClient[Document](uri) as client:
        database = client[name]
        database[PLAYERS].delete_many({"_id": {"$gte": NEW_PLAYER, "$lt": f"{NEW_PLAYER}~"}})
        database[SESSIONS].delete_many({"game_mode": NEW_MODE})
