"""The indexes of the database."""

import pytest
from pymongo import DESCENDING
from pymongo.errors import DuplicateKeyError

from game_api.app import MODELS
from game_api.database.client import Database, connect
from game_api.database.connection import FixedConnection
from game_api.database.indexes import IndexCheck, IndexesFailed, create_indexes
from tests.build import a_player
from tests.conftest import Lines
from tests.documentdb import DocumentDbGuard


async def test_the_indexes_of_the_models_are_created(database: Database) -> None:
    names = await create_indexes(database, MODELS)
    assert names == [
        "players.username_key",
        "sessions.newest",
        "sessions.by_status_and_mode",
        "sessions.by_host",
        "sessions.by_status",
        "sessions.purge",
    ]
    players = await database.players.index_information()
    assert players["username_key"]["unique"]
    sessions = await database.sessions.index_information()
    assert sessions["newest"]["key"] == [("visibility", 1), ("_id", DESCENDING)]
    assert sessions["purge"]["expireAfterSeconds"] == 0
    assert {"_id_", *(name.removeprefix("sessions.") for name in names[1:])} == set(sessions)


async def test_creating_indexes_again_changes_nothing(database: Database) -> None:
    await database.players.insert_one(a_player("ada").model_dump_doc())
    before = await database.players.index_information()
    await create_indexes(database, MODELS)
    assert await database.players.index_information() == before
    with pytest.raises(DuplicateKeyError):
        await database.players.insert_one(a_player("bob", username_key="ada").model_dump_doc())


async def test_all_other_indexes_are_created_if_one_can_not_be(uri: str, log_lines: Lines) -> None:
    """The failure names the index and a value that several documents have."""
    async with connect(uri) as client:
        database = client.get_default_database()
        for player_id in ("one", "two"):
            document = a_player(player_id, username="Zed", username_key="zed").model_dump_doc()
            await database.players.insert_one(document)
        with pytest.raises(IndexesFailed) as failed:
            await create_indexes(database, MODELS)
        assert failed.value.failures == [
            "the index players.username_key can't be created: "
            "2 documents have the username_key 'zed'"
        ]
        assert "sessions.newest" in failed.value.created
        assert "newest" in await database.sessions.index_information()

        check = IndexCheck(FixedConnection(database), MODELS)
        problem = "The unique index players.username_key is missing: run game-api create-indexes."
        for _ in range(2):
            assert await check.problem(0) == problem
        warnings = [e["message"] for e in log_lines.entries if e["level"] == "warning"]
        assert warnings == [f"this process is not ready: {problem}"]
        await database.players.delete_one({"_id": "two"})
        await create_indexes(database, MODELS)
        assert await check.problem(0) is None


async def test_the_indexes_are_looked_up_only_until_they_are_found(
    database: Database, guard: DocumentDbGuard
) -> None:
    check = IndexCheck(FixedConnection(database), MODELS)
    for _ in range(3):
        assert await check.problem(0) is None
    assert guard.count["listIndexes", "players"] == 1
