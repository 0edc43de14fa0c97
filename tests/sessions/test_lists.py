"""The lists of sessions in the database: right after every change, and what they read."""

from collections.abc import AsyncIterator
from itertools import chain, combinations
from typing import Any

import pytest
from pymongo import IndexModel

from game_api.access.caller import SYSTEM
from game_api.app import MODELS
from game_api.clock import utc_now
from game_api.database.client import Database, Document, connect
from game_api.database.connection import Connection, FixedConnection
from game_api.database.indexes import create_indexes, declared
from game_api.observability.metrics import Metrics
from game_api.seats.claims import Claims
from game_api.sessions.filters import SessionFilter
from game_api.sessions.model import Session, SessionStatus, SessionUpdate
from game_api.sessions.store import SessionStore
from game_api.values import LIVE
from tests.build import LATER, a_player, a_session
from tests.database.index_scan import examined

STATUSES = ("waiting", "starting", "active", "ended", "cancelled", "expired")
EARLIER_INDEXES = [
    IndexModel([("visibility", 1), ("_id", -1)], name="newest"),
    IndexModel(
        [("visibility", 1), ("status", 1), ("game_mode", 1), ("_id", -1)], name="by_status_and_mode"
    ),
    IndexModel([("host_player_id", 1), ("_id", -1)], name="by_host"),
    IndexModel([("status", 1)], name="by_status"),
]
"""The indexes of the version before the index `live`."""


def store_of(connection: Connection) -> SessionStore:
    return SessionStore(connection, Claims(connection), Metrics())


@pytest.fixture
async def elsewhere(uri: str) -> AsyncIterator[SessionStore]:
    """The store of another process: it shares nothing with `sessions` but the database."""
    async with connect(uri) as client:
        yield store_of(FixedConnection(client.get_default_database()))


async def ids(sessions: SessionStore, *status: str, **filters: Any) -> list[str]:
    wanted = SessionFilter(status=status, **filters)
    return [document["_id"] for document in await sessions.list(wanted, 100)]


async def change(sessions: SessionStore, changes: SessionUpdate) -> None:
    await sessions.change("s", lambda session: session.change(changes, SYSTEM, LATER))


CHANGES: list[tuple[SessionUpdate, str, bool]] = [
    ({"status": "starting"}, "starting", True),
    ({"status": "waiting"}, "waiting", True),
    ({"visibility": "private"}, "waiting", False),
    ({"status": "starting"}, "starting", False),
    ({"visibility": "public"}, "starting", True),
    ({"status": "active"}, "active", True),
    ({"visibility": "private", "status": "ended"}, "ended", False),
]
"""Changes one after the other, with the status after each and whether the session is listed."""


async def test_every_change_is_in_the_lists_of_every_process_at_once(
    database: Database, sessions: SessionStore, elsewhere: SessionStore
) -> None:
    await database.players.insert_one(a_player("ada").model_dump_doc())
    await sessions.create(a_session("ada"))
    assert await ids(elsewhere) == ["s"]
    for changes, status, listed in CHANGES:
        await change(sessions, changes)
        for store in (sessions, elsewhere):
            assert await ids(store) == ["s"] * (listed and status in LIVE)
            for each in STATUSES:
                assert await ids(store, each) == ["s"] * (listed and status == each)


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ("waiting", "cancelled"),
        ("starting", "cancelled"),
        ("active", "cancelled"),
        ("active", "ended"),
    ],
)
async def test_a_session_that_ends_leaves_the_live_list_for_the_one_of_its_status(
    sessions: SessionStore,
    elsewhere: SessionStore,
    database: Database,
    status: str,
    end: SessionStatus,
) -> None:
    await database.players.insert_one(a_player("ada").model_dump_doc())
    await sessions.create(a_session("ada", status=status))
    assert await ids(elsewhere) == ["s"] and await ids(elsewhere, end) == []
    await change(sessions, {"status": end})
    assert await ids(elsewhere) == [] and await ids(elsewhere, end) == ["s"]
    assert await ids(elsewhere, *STATUSES) == ["s"]


async def test_a_session_that_goes_back_to_waiting_is_listed_as_such(
    sessions: SessionStore, elsewhere: SessionStore, database: Database
) -> None:
    await database.players.insert_one(a_player("ada").model_dump_doc())
    await sessions.create(a_session("ada", status="starting"))
    await sessions.change("s", lambda s: s.leave("ada", SYSTEM, LATER))
    assert await ids(elsewhere, "starting") == []
    assert await ids(elsewhere, "waiting") == await ids(elsewhere) == ["s"]


def documents(live: int, ended: int) -> list[Document]:
    """Sessions of all kinds. The live ones are the oldest, which is the worst case."""
    kinds: list[dict[str, Any]] = []
    for n in range(live):
        kinds.append({"status": sorted(LIVE)[n % 3], "join_in_progress": n % 2 == 0})
    for n in range(ended):
        status = "cancelled" if n % 10 == 9 else "ended"
        kinds.append({"status": status, "ended_at": LATER, "started_at": LATER})
    made = []
    for n, kind in enumerate(kinds):
        session = a_session(id=f"{n:06}", game_mode=f"mode{n % 4}", region=f"region{n % 5}")
        fields = {"host_player_id": f"p{n % 20}", "attributes": {"level": n % 7}}
        visibility = {"visibility": "private" if n % 9 == 8 else "public"}
        made.append({**session.model_dump_doc(), **kind, **fields, **visibility})
    return made


FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "game_mode": {"game_mode": "mode1"},
    "game_mode without a match": {"game_mode": "mode9"},
    "region": {"region": "region1"},
    "region without a match": {"region": "region9"},
    "min_free_slots without a match": {"min_free_slots": 60},
    "host_player_id": {"host_player_id": "p3"},
    "attribute": {"attributes": {"level": "3"}},
    "attribute without a match": {"attributes": {"level": "none"}},
    "joinable": {"joinable": True},
    "all": {"game_mode": "mode1", "region": "region1", "joinable": True, "min_free_slots": 1},
}


async def test_the_form_with_an_index_selects_the_same_sessions(database: Database) -> None:
    """For every set of statuses and every filter."""
    await database.sessions.insert_many(documents(live=36, ended=60))
    sets = chain.from_iterable(combinations(STATUSES, size) for size in range(7))
    for number, status in enumerate(sets):
        for filters in list(FILTERS.values())[number % 3 :: 3]:
            wanted = SessionFilter(status=status, **filters)
            queries = wanted.query(), wanted.indexed_query()
            plain, indexed = [
                {d["_id"] async for d in database.sessions.find(query, {"_id": 1})}
                for query in queries
            ]
            assert plain == indexed, wanted


INDEXES = {index["name"]: list(index["key"].items()) for _, index in declared([Session])}
"""The fields of each index of the sessions, by name."""


async def reads(database: Database, wanted: SessionFilter) -> dict[str, int]:
    """What a page of 20 sessions, and one more, reads through each index."""
    stored = await database.sessions.find().to_list()
    query = wanted.indexed_query()
    matching = {d["_id"] async for d in database.sessions.find(query, {"_id": 1})}
    return {name: examined(key, query, stored, matching, 21) for name, key in INDEXES.items()}


async def test_what_a_live_list_reads_does_not_depend_on_the_ended_sessions(
    database: Database,
) -> None:
    everything = documents(live=60, ended=600)
    lists = [
        SessionFilter(status=status, **filters)
        for status in [(), ("waiting",), ("waiting", "active")]
        for filters in FILTERS.values()
    ]
    await database.sessions.insert_many(everything[:120])
    few = [(await reads(database, wanted))["live"] for wanted in lists]
    await database.sessions.insert_many(everything[120:])
    assert [(await reads(database, wanted))["live"] for wanted in lists] == few
    public = 54
    assert few[list(FILTERS).index("region without a match")] == public == max(few)
    assert few[list(FILTERS).index("none")] == 21


async def test_other_indexes_read_ended_sessions_for_a_live_list(database: Database) -> None:
    """So the test above would detect that the index is missing, or that no list can use it."""
    await database.sessions.insert_many(documents(live=60, ended=600))
    public = await database.sessions.count_documents({"visibility": "public"})
    assert (await reads(database, SessionFilter(region="region9")))["newest"] == public > 500
    assert (await reads(database, SessionFilter()))["newest"] > 500


async def test_a_list_of_one_status_reads_nothing_but_its_page(database: Database) -> None:
    await database.sessions.insert_many(documents(live=60, ended=600))
    waiting = await database.sessions.count_documents({"status": "waiting", "visibility": "public"})
    for status, count in {"waiting": waiting, "ended": 21, "cancelled": 21, "expired": 0}.items():
        read = await reads(database, SessionFilter(status=(status,)))
        assert read["newest_by_status"] == count, status
        read = await reads(database, SessionFilter(status=(status,), game_mode="mode9"))
        assert read["by_status_and_mode"] == 0


async def test_the_lists_are_right_before_and_after_an_upgrade_of_the_indexes(uri: str) -> None:
    """Processes of both versions may run before, meanwhile and afterwards."""
    async with connect(uri) as client:
        database = client.get_default_database()
        await database.sessions.create_indexes(EARLIER_INDEXES)
        stored = documents(live=20, ended=30)
        for document in stored[::2]:  # What the first version wrote.
            for key in ("keyed", "purge_at"):
                del document[key]
        await database.sessions.insert_many(stored)
        # A document without the field counts as one with null.
        await database.sessions.update_one({"_id": "000003"}, {"$unset": {"ended_at": ""}})
        await database.sessions.insert_one({"_id": "tombstone", "revision": 1, "purge_at": LATER})
        sessions = store_of(FixedConnection(database))

        async def lists() -> list[list[str]]:
            by_status = [await ids(sessions, status) for status in STATUSES]
            return [await ids(sessions), await ids(sessions, *STATUSES), *by_status]

        before = await lists()
        assert "000003" in before[0] and len(before[0]) == 18
        await create_indexes(database, MODELS)
        made = await database.sessions.index_information()
        assert made["live"]["key"] == [("ended_at", 1), ("visibility", 1), ("_id", -1)]
        assert {index.document["name"] for index in EARLIER_INDEXES} < set(made)
        await create_indexes(database, MODELS)
        assert await database.sessions.index_information() == made
        assert await lists() == before


async def test_an_unmade_index_makes_no_list_wrong(
    database: Database, connection: Connection
) -> None:
    await database.sessions.insert_many(documents(live=20, ended=30))
    sessions = store_of(connection)
    expected = await ids(sessions)
    await database.sessions.drop_indexes()
    assert await ids(sessions) == expected and len(expected) == 18


async def test_the_embedded_database_narrows_a_live_list_to_the_live_sessions(
    database: Database,
) -> None:
    """It uses an index of the first condition that has one, and its `explain` says which."""
    await database.sessions.insert_many(documents(live=20, ended=30))
    query = SessionFilter(region="region1").indexed_query()
    query["purge_at"] = {"$not": {"$lte": utc_now()}}
    first = dict([next(iter(query.items()))])
    plan = await database.command({"explain": {"find": "sessions", "filter": first}})
    stage = plan["queryPlanner"]["winningPlan"]["inputStage"]
    assert (stage["stage"], stage["indexName"]) == ("IXSCAN", "live")
