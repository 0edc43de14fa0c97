"""The indexes of the database."""

from typing import Any

import odmantic
import pytest
from pymongo import DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError, PyMongoError

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
        "players.birth",
        "players.purge",
        "sessions.newest",
        "sessions.live",
        "sessions.newest_by_status",
        "sessions.by_status_and_mode",
        "sessions.by_host",
        "sessions.purge",
        "keyed_requests.purge",
    ]
    players = await database.players.index_information()
    assert players["username_key"]["unique"] and players["birth"]["unique"]
    sessions = await database.sessions.index_information()
    assert sessions["newest"]["key"] == [("visibility", 1), ("_id", DESCENDING)]
    assert sessions["purge"]["expireAfterSeconds"] == 0
    of_sessions = {name.partition(".")[2] for name in names if name.startswith("sessions.")}
    assert {"_id_", *of_sessions} == set(sessions)


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


class Rank(odmantic.Model):
    """A model with unique indexes of several kinds."""

    model_config = {
        "collection": "ranks",
        "indexes": lambda: [
            odmantic.Index(Rank.season, Rank.place, unique=True, name="place"),
            IndexModel(
                [("code", 1)],
                unique=True,
                name="code",
                partialFilterExpression={"live": True},
            ),
            odmantic.Index(Rank.place, name="by_place"),
        ],
    }

    season: str
    place: int
    code: str
    live: bool


RANKS = [
    {"season": "spring", "place": 1, "code": "a", "live": True},
    {"season": "autumn", "place": 1, "code": "b", "live": False},
    {"season": "autumn", "place": 2, "code": "b", "live": False},
    {"season": "autumn", "place": 2, "code": "c", "live": True},
    {"season": "winter", "place": 2, "code": "c", "live": True},
]


async def test_a_collision_is_found_for_compound_and_partial_indexes(database: Database) -> None:
    await database.ranks.insert_many([{**rank} for rank in RANKS])
    with pytest.raises(IndexesFailed) as failed:
        await create_indexes(database, [Rank])
    assert failed.value.created == ["ranks.by_place"]
    assert failed.value.failures == [
        "the index ranks.place can't be created: "
        "2 documents have the season 'autumn' and the place 2",
        "the index ranks.code can't be created: 2 documents have the code 'c'",
    ]
    check = IndexCheck(FixedConnection(database), [Rank])
    assert await check.problem(0) == (
        "The unique indexes ranks.place, ranks.code are missing: run game-api create-indexes."
    )


async def test_an_index_that_does_not_cover_every_document_is_missing(database: Database) -> None:
    """The name of an index does not matter, but its fields, its order and its filter do."""
    check = IndexCheck(FixedConnection(database), [Rank])
    live = {"live": True}
    await database.ranks.create_index("code", unique=True, name="any", partialFilterExpression=live)
    insufficient: list[tuple[list[str], dict[str, Any]]] = [
        (["season", "place"], {"name": "one"}),
        (["season"], {"name": "two", "unique": True}),
        (["season", "place"], {"name": "three", "unique": True, "partialFilterExpression": live}),
    ]
    for keys, options in insufficient:
        await database.ranks.create_index(keys, **options)
        problem = await check.problem(0)
        assert problem and "index ranks.place is missing" in problem
        await database.ranks.drop_index(options["name"])
    await database.ranks.create_index(["season", "place"], unique=True, name="four")
    assert await check.problem(0) is None


async def test_an_index_with_other_options_is_reported_in_the_words_of_the_database(
    database: Database,
) -> None:
    await database.players.drop_indexes()
    await database.players.create_index("rating", name="username_key")
    with pytest.raises(IndexesFailed) as failed:
        await create_indexes(database, MODELS)
    (failure,) = failed.value.failures
    assert failure.startswith("the index players.username_key can't be created: An existing index")
    assert len(failed.value.created) == 9


async def test_a_database_that_does_not_respond_is_no_failure_of_an_index() -> None:
    async with connect("mongodb://127.0.0.1:1/test", serverSelectionTimeoutMS=50) as client:
        with pytest.raises(PyMongoError):
            await create_indexes(client.get_default_database(), MODELS)


async def test_the_indexes_are_looked_up_only_until_they_are_found(
    database: Database, guard: DocumentDbGuard
) -> None:
    check = IndexCheck(FixedConnection(database), MODELS)
    for _ in range(3):
        assert await check.problem(0) is None
    assert guard.count["listIndexes", "players"] == 1
