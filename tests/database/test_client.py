"""The driver's client: its options, its connections, and its lock on Python 3.11."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pymongo
import pymongo.lock
import pytest
from pymongo.errors import WaitQueueTimeoutError

from game_api.database.client import OPTIONS, Database, Driver, connect
from game_api.database.errors import is_unavailable
from tests.waiting import wait_until_async


async def test_options_in_the_connection_string_override_the_defaults() -> None:
    async with connect("mongodb://127.0.0.1:1/?maxPoolSize=3&w=1") as client:
        assert client.options.pool_options.max_pool_size == 3
        assert client.options.write_concern.document == {"w": 1}
        assert client.options.retry_writes is False


class IdleTimeouts:
    """A proxy of a database that can close the connections that have carried an insert."""

    def __init__(self, host: str, port: int) -> None:
        self._database = (host, port)
        self._inserting: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_database, to_database = await asyncio.open_connection(*self._database)

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                if target is to_database and b"insert" in data:
                    self._inserting.add(writer)
                target.write(data)
            target.close()

        await asyncio.gather(
            copy(reader, to_database), copy(from_database, writer), return_exceptions=True
        )

    def close_idle(self) -> int:
        """Close them; returns their number."""
        for writer in self._inserting:
            writer.close()
        closed = len(self._inserting)
        self._inserting.clear()
        return closed


async def test_a_connection_that_was_closed_while_it_was_idle_is_not_used_again(uri: str) -> None:
    """The option is shorter than the usual idle timeouts of databases and networks."""
    assert OPTIONS["maxIdleTimeMS"] <= 60_000
    database = urlsplit(uri)
    assert database.hostname and database.port
    proxy = IdleTimeouts(database.hostname, database.port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        connect(uri.replace(f":{database.port}", f":{port}"), maxIdleTimeMS=50) as client,
    ):
        things = client.get_default_database().things
        await asyncio.gather(*(things.insert_one({}) for _ in range(5)))
        await asyncio.sleep(0.1)  # The time for which a connection may be idle has passed.
        assert proxy.close_idle() > 0
        await asyncio.gather(*(things.insert_one({}) for _ in range(5)))


async def test_a_request_that_is_cancelled_while_the_driver_waits_keeps_the_locks_intact() -> None:
    lock = pymongo.lock._async_create_lock()
    condition = pymongo.lock._async_create_condition(lock)
    locked = asyncio.Event()

    async def wait_for_a_server() -> None:
        async with lock:
            locked.set()
            await pymongo.lock._async_cond_wait(condition, 0.02)

    request = asyncio.create_task(wait_for_a_server())
    await locked.wait()
    async with lock:  # The request has released it, and waits for the condition.
        # The wait for the condition ends, and the request waits for the lock.
        await wait_until_async(lambda: bool(lock._waiters))
        request.cancel()
        # If the request ended now, it would release the lock that this test holds.
        ended, _ = await asyncio.wait([request], timeout=0.01)
        assert not ended
    with pytest.raises(asyncio.CancelledError):
        await request
    await asyncio.sleep(0)  # Lets a task run that still waits for the lock, if there is one.
    assert not lock.locked()


@asynccontextmanager
async def all_connections_in_use(driver: Driver, number: int) -> AsyncIterator[None]:
    """Commands that hold all connections of the driver until the end of the block."""
    running, end = asyncio.Semaphore(0), asyncio.Event()

    async def command(database: Database) -> None:
        running.release()
        await end.wait()

    commands = [asyncio.create_task(driver.run(command)) for _ in range(number)]
    for _ in commands:
        await running.acquire()
    yield
    end.set()
    await asyncio.gather(*commands)


async def ping(database: Database) -> None:
    await database.command("ping")


async def test_a_command_waits_for_a_connection_until_its_deadline(database: Database) -> None:
    """Otherwise, the ping of a readiness check would wait as long as the commands before it."""
    driver = Driver(database)
    async with all_connections_in_use(driver, OPTIONS["maxPoolSize"]):
        with pymongo.timeout(0.02), pytest.raises(WaitQueueTimeoutError) as refusal:
            await driver.run(ping)
        assert is_unavailable(refusal.value)
        waiting = asyncio.create_task(driver.run(ping))
        await asyncio.sleep(0)
        assert not waiting.done()
    await waiting


async def test_a_command_that_is_cancelled_while_it_waits_leaves_its_turn_to_the_next(
    database: Database,
) -> None:
    driver = Driver(database)
    for _ in range(3):
        async with all_connections_in_use(driver, OPTIONS["maxPoolSize"]):
            cancelled, next_one = [asyncio.create_task(driver.run(ping)) for _ in range(2)]
            await asyncio.sleep(0)
        cancelled.cancel()  # At the moment when a connection is free again.
        await next_one
        assert await asyncio.gather(cancelled, return_exceptions=True)
    # Every connection can still be had.
    async with all_connections_in_use(driver, OPTIONS["maxPoolSize"]):
        pass
