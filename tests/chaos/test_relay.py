"""The relay: each kind of fault hits exactly the commands that it is aimed at."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from pymongo import UpdateOne
from pymongo.errors import AutoReconnect, PyMongoError

from game_api.database.client import Database, connect
from game_api.database.embedded import EmbeddedDatabase
from tests.chaos.relay import Aim, Fault, FaultKind, Link, PartitionKind, Relay, running_relay
from tests.chaos.wire import Command, Message


@pytest.fixture
async def relay(server: EmbeddedDatabase) -> AsyncIterator[Relay]:
    async with running_relay(server.port) as relay:
        yield relay


@pytest.fixture
async def link(relay: Relay) -> Link:
    return await relay.add_link()


@pytest.fixture
def name() -> str:
    return f"test_{uuid4().hex}"


@pytest.fixture
async def relayed(link: Link, name: str) -> AsyncIterator[Database]:
    """The database as a process sees it behind the relay."""
    async with connect(link.uri(name)) as client:
        yield client.get_default_database()


@pytest.fixture
async def direct(server: EmbeddedDatabase, name: str) -> AsyncIterator[Database]:
    """The same database without the relay."""
    uri = f"mongodb://127.0.0.1:{server.port}/{name}?directConnection=true"
    async with connect(uri) as client:
        yield client.get_default_database()


async def begun(aim: Aim) -> Fault:
    """The fault of the first command that the aim hits, as soon as it has begun."""
    async with asyncio.timeout(5):
        while not aim.faults:
            await asyncio.sleep(0.005)
        await aim.faults[0].reached.wait()
    return aim.faults[0]


async def ids(database: Database) -> list[Any]:
    return [document["_id"] for document in await database.things.find().to_list()]


async def test_commands_pass_and_are_counted(relay: Relay, relayed: Database) -> None:
    await relayed.things.insert_many([{"_id": number} for number in range(1000)])
    await relayed.things.bulk_write([UpdateOne({"_id": 1}, {"$set": {"x": 1}})])
    assert len(await ids(relayed)) == 1000
    assert relay.commands == {
        "insert things": 1,
        "update things": 1,
        "find things": 1,
        "getMore": 1,
    }
    assert relay.busy == 0 and not relay.faults


async def test_an_aim_hits_only_its_command_collection_and_link(
    relay: Relay, link: Link, relayed: Database
) -> None:
    other = await relay.add_link()
    relay.arm(Aim("cut before", "insert", "others"))
    relay.arm(Aim("cut before", "update", "things"))
    relay.arm(Aim("cut before", "insert", "things", other))
    await relayed.things.insert_one({"_id": 1})
    await relayed.others.update_one({"_id": 1}, {"$set": {"x": 1}}, upsert=True)
    assert not relay.faults
    with pytest.raises(AutoReconnect):
        await relayed.things.update_one({"_id": 1}, {"$set": {"x": 1}})
    await relayed.things.update_one({"_id": 1}, {"$set": {"x": 2}})
    assert relay.faults == {"cut before": 1}


async def test_a_fixed_latency_is_added_to_each_command(relay: Relay, relayed: Database) -> None:
    await relayed.things.insert_one({"_id": 1})
    relay.latency = 0.1
    start = time.monotonic()
    for _ in range(3):
        await relayed.things.find_one({"_id": 1})
    assert time.monotonic() - start >= 0.3


async def test_a_held_command_waits_until_it_is_released(
    relay: Relay, relayed: Database, direct: Database
) -> None:
    aim = relay.arm(Aim("hold", "insert", seconds=60))
    inserting = asyncio.create_task(relayed.things.insert_one({"_id": 1}))
    fault = await begun(aim)
    await asyncio.sleep(0.1)
    assert not inserting.done() and relay.busy == 1 and await ids(direct) == []
    fault.release.set()
    await inserting
    assert await ids(direct) == [1]


async def test_a_delayed_command_is_executed_later(relay: Relay, relayed: Database) -> None:
    relay.arm(Aim("delay", "insert", seconds=0.2))
    start = time.monotonic()
    await relayed.things.insert_one({"_id": 1})
    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize(
    ("kind", "executed"), [("cut before", []), ("cut after", [1]), ("deliver late", [])]
)
async def test_a_lost_answer_is_an_error_of_the_connection(
    relay: Relay, relayed: Database, direct: Database, kind: FaultKind, executed: list[int]
) -> None:
    aim = relay.arm(Aim(kind, "insert", seconds=60))
    with pytest.raises(AutoReconnect):
        await relayed.things.insert_one({"_id": 1})
    assert await ids(direct) == executed
    (fault,) = aim.faults
    assert fault.finished.is_set() == (kind != "deliver late")


async def test_a_late_command_is_executed_after_its_connection_broke(
    relay: Relay, relayed: Database, direct: Database
) -> None:
    aim = relay.arm(Aim("deliver late", "insert", seconds=60))
    with pytest.raises(AutoReconnect):
        await relayed.things.insert_one({"_id": 1})
    await relayed.things.insert_one({"_id": 2})
    assert await ids(direct) == [2] and relay.busy == 1
    aim.faults[0].release.set()
    await asyncio.wait_for(aim.faults[0].finished.wait(), 5)
    assert sorted(await ids(direct)) == [1, 2]
    await relay.wait_until_idle(0.05)


async def test_a_held_command_is_delivered_though_the_driver_has_given_up(
    relay: Relay, link: Link, name: str, direct: Database
) -> None:
    aim = relay.arm(Aim("hold", "insert", seconds=60))
    async with connect(link.uri(name), timeoutMS=200) as client:
        with pytest.raises(PyMongoError) as raised:
            await client.get_default_database().things.insert_one({"_id": 1})
        assert raised.value.timeout
    assert await ids(direct) == []
    aim.faults[0].release.set()
    await asyncio.wait_for(aim.faults[0].finished.wait(), 5)
    assert await ids(direct) == [1]


@pytest.mark.parametrize(
    ("kind", "executed"), [("silence", []), ("lost answers", [1]), ("reset", [])]
)
async def test_a_partition_separates_one_process_until_it_is_healed(
    relay: Relay, name: str, direct: Database, kind: PartitionKind, executed: list[int]
) -> None:
    first, second = [await relay.add_link() for _ in range(2)]
    options = {"timeoutMS": 700, "serverSelectionTimeoutMS": 700}
    async with (
        connect(first.uri(name), **options) as client,
        connect(second.uri(name), **options) as neighbour,
    ):
        database = client.get_default_database()
        await database.things.find_one({})
        first.cut_off(kind)
        with pytest.raises(PyMongoError):
            await database.things.insert_one({"_id": 1})
        assert await ids(neighbour.get_default_database()) == executed
        first.heal()
        async with asyncio.timeout(10):
            while True:
                try:
                    await database.things.update_one({"_id": 2}, {"$set": {"x": 1}}, upsert=True)
                    break
                except PyMongoError:
                    await asyncio.sleep(0.05)
        await relay.wait_until_idle(0.05)
    # A message that was in the network during the silence arrives when the network is back.
    assert sorted(await ids(direct)) == ([2] if kind == "reset" else [1, 2])


async def test_disarming_releases_held_commands_and_forgets_aims(
    relay: Relay, relayed: Database
) -> None:
    aim = relay.arm(Aim("hold", "insert", seconds=60, count=2))
    inserting = asyncio.create_task(relayed.things.insert_one({"_id": 1}))
    await begun(aim)
    relay.disarm()
    await inserting
    await relayed.things.insert_one({"_id": 2})
    assert relay.faults == {"hold": 1}


async def test_a_driver_whose_database_is_gone_loses_its_connection(
    relay: Relay, link: Link, relayed: Database, direct: Database
) -> None:
    await relayed.things.insert_one({"_id": 1})
    relay.database_port = 1
    link.cut_off("reset")
    link.heal()
    with pytest.raises(PyMongoError):
        await relayed.things.insert_one({"_id": 2})


async def test_a_held_command_ends_when_the_database_has_closed_its_connection(
    link: Link, relay: Relay
) -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(close, "127.0.0.1", 0) as database:
        relay.database_port = database.sockets[0].getsockname()[1]
        aim = relay.arm(Aim("hold", "ping2", seconds=60))
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(message(b"\0" + b"\x10\0\0\0" + b"\x10ping2\0\x01\0\0\0" + b"\0"))
        fault = await begun(aim)
        with pytest.raises((asyncio.IncompleteReadError, OSError)):
            await reader.readexactly(1)
        fault.release.set()
        await relay.wait_until_idle(0.05, limit=5)
        writer.close()


def message(sections: bytes) -> bytes:
    """A request with the number 7 and these sections."""
    rest = b"\x07\0\0\0\x03\0\0\0" + (2013).to_bytes(4, "little") + b"\0\0\0\0" + sections
    return (len(rest) + 4).to_bytes(4, "little") + rest


@pytest.mark.parametrize(
    ("sections", "command"),
    [
        (b"\0" + b"\x17\0\0\0" + b"\x02find\0\x05\0\0\0user\0" + b"\0", Command("find", "user")),
        (b"\0" + b"\x0f\0\0\0" + b"\x10ping\0\x01\0\0\0" + b"\0", Command("ping")),
        (
            b"\x01\x0b\0\0\0docs\0\0\0" + b"\0" + b"\x0f\0\0\0" + b"\x10ping\0\x01\0\0\0" + b"\0",
            Command("ping"),
        ),
    ],
)
def test_a_message_names_its_command(sections: bytes, command: Command) -> None:
    parsed = Message(message(sections))
    assert parsed.command == command
    assert (parsed.request_id, parsed.response_to) == (7, 3)
