"""The driver's client: its options, and its lock on Python 3.11."""

import asyncio

import pymongo.lock
import pytest

from game_api.database.client import connect


async def test_options_in_the_connection_string_override_the_defaults() -> None:
    async with connect("mongodb://127.0.0.1:1/?maxPoolSize=3&w=1") as client:
        assert client.options.pool_options.max_pool_size == 3
        assert client.options.write_concern.document == {"w": 1}
        assert client.options.retry_writes is False


async def test_a_deadline_during_the_wait_of_the_driver_does_not_release_the_lock_of_others() -> (
    None
):
    lock = pymongo.lock._async_create_lock()
    condition = pymongo.lock._async_create_condition(lock)

    async def wait_for_a_server() -> None:
        async with lock:
            await pymongo.lock._async_cond_wait(condition, 0.02)

    waiting = asyncio.create_task(wait_for_a_server())
    await asyncio.sleep(0.01)
    async with lock:
        await asyncio.sleep(0.03)  # Its wait has ended, and it tries to acquire the lock again.
        waiting.cancel()
        await asyncio.sleep(0.01)
        assert not waiting.done()  # Otherwise it would release the lock that this test holds.
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0)
    assert not lock.locked()
