"""The indexes of the database."""

import pytest
from pymongo import DESCENDING
from pymongo.errors import DuplicateKeyError

from game_api.app import MODELS
from game_api.database.client import Database
from game_api.database.indexes import create_indexes
from tests.build import a_player


async def test_the_indexes_of_the_models_are_created(database: Database) -> None:
    names = await create_indexes(database, MODELS)
    assert names == [
        "players.username_key",
        "sessions.newest",
        "sessions.by_status_and_mode",
        "sessions.by_host",
        "sessions.by_status",
    ]
    players = await database.players.index_information()
    assert players["username_key"]["unique"]
    sessions = await database.sessions.index_information()
    assert sessions["newest"]["key"] == [("visibility", 1), ("_id", DESCENDING)]
    assert set(sessions) == {"_id_", "newest", "by_status_and_mode", "by_host", "by_status"}


async def test_creating_indexes_again_changes_nothing(database: Database) -> None:
    await database.players.insert_one(a_player("ada").model_dump_doc())
    before = await database.players.index_information()
    await create_indexes(database, MODELS)
    assert await database.players.index_information() == before
    with pytest.raises(DuplicateKeyError):
        await database.players.insert_one(a_player("bob", username_key="ada").model_dump_doc())
