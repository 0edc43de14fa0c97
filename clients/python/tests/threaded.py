"""Lets one test cover both clients: the sync client runs in threads, behind awaitable methods."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

from game_api_client import AsyncGameApi, GameApi

KINDS = ("async", "sync")


class Threaded:
    """The methods of a sync client, each of which runs in a thread."""

    def __init__(self, api: GameApi) -> None:
        self.api = api

    async def __aenter__(self) -> Threaded:
        self.api.__enter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        self.api.__exit__(*error)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.api, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            return await asyncio.to_thread(method, *arguments, **options)

        async def iterate(**filters: Any) -> AsyncIterator[Any]:
            items = method(**filters)
            while (item := await asyncio.to_thread(next, items, None)) is not None:
                yield item

        return iterate if inspect.isgeneratorfunction(method) else call


def new_api(kind: str, url: str, **options: Any) -> AsyncGameApi:
    """A client that a test can await, whichever kind it is."""
    if kind == "async":
        return AsyncGameApi(url, **options)
    return cast(AsyncGameApi, Threaded(GameApi(url, **options)))
