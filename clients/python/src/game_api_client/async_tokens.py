"""Gets tokens. The module for the sync client is generated from this one: edit only this one."""

from __future__ import annotations

from .concurrency import AsyncLock, async_call
from .tokens import AsyncTokenFunction, AsyncTokenSource, Token


class AsyncTokens:
    """Keeps the token of its source, and asks a function for another one after a refusal."""

    def __init__(self, source: AsyncTokenSource | None) -> None:
        self._get = source if callable(source) else None
        self._token = None if source is None or callable(source) else Token(source)
        self._lock = AsyncLock()

    async def current(self) -> Token | None:
        """The token to send; None without a source. Raises what the function raises."""
        token = self._token
        if token is None and self._get is not None:
            token = await self._other_than(None, self._get)
        return token

    async def replace(self, refused: Token | None) -> bool:
        """Whether there is another token than the one that was refused.

        The function is called once, however many requests were refused with the same token.
        """
        if refused is None or self._get is None:
            return False
        token = await self._other_than(refused, self._get)
        return token.header != refused.header

    async def _other_than(self, refused: Token | None, get: AsyncTokenFunction) -> Token:
        async with self._lock:
            if self._token is None or self._token is refused:
                self._token = None  # If the function fails, the next request calls it again.
                self._token = Token(await async_call(get))
            return self._token
