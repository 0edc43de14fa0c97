"""The driver's client: its options, and its lock on Python 3.11."""

import asyncio

import pymongo.lock
import pytest

from game_api.database.client import connect
from tests.waiting import wait_until_async


async def test_options_in_the_connection_string_override_the_defaults() -> None:
    async with connect("mongodb://127.0.0.1:1/?maxPoolSize=3&w=1") as client:
        assert client.options.pool_options.max_pool_size == 3
        assert client.options.write_concern.document == {"w": 1}
        assert client.options.retry_writes is False


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
