"""Waiting until a condition holds, instead of sleeping for a fixed time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

POLL_SECONDS = 0.02
WAIT_SECONDS = 30.0
"""The default limit. It is reached only if the condition never holds, so it can be generous."""


def holds_within(condition: Callable[[], bool], seconds: float) -> bool:
    """Call the condition until it is true; returns False if that takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def wait_until(condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Wait until the condition is true. Raises AssertionError after `seconds`."""
    assert holds_within(condition, seconds), f"the condition was not true within {seconds} s"


async def wait_until_async(
    condition: Callable[[], bool | Awaitable[bool]], seconds: float = WAIT_SECONDS
) -> None:
    """Wait until the condition is true, while the event loop runs other tasks.

    Raises AssertionError after `seconds`. It never cancels the condition, because an app that runs
    in the event loop answers a cancelled request instead of passing the cancellation on.
    """
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if await result if inspect.isawaitable(result) else result:
            return
        assert time.monotonic() < deadline, f"the condition was not true within {seconds} s"
        await asyncio.sleep(POLL_SECONDS)
