"""What the async client uses, and below it what the generated sync client uses in its place."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

AsyncLock = asyncio.Lock
Lock = threading.Lock

async_sleep = asyncio.sleep
sleep = time.sleep


async def async_call(function: Callable[[], T | Awaitable[T]]) -> T:
    """The result of a function that may be asynchronous."""
    result = function()
    return await result if inspect.isawaitable(result) else result


def call(function: Callable[[], T]) -> T:
    return function()
