"""The tokens that the clients send, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

BEARER_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)

TokenFunction = Callable[[], str]
TokenSource = str | TokenFunction
"""A token, or a function that returns one."""

AsyncTokenFunction = Callable[[], str | Awaitable[str]]
AsyncTokenSource = str | AsyncTokenFunction
"""A token, or a function that returns one and may be asynchronous."""


class Token:
    """A token that can be sent. Its value is in no text that is made of this object."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        # The libraries below put a header that they can't send into the text of their exceptions.
        if not isinstance(value, str) or not BEARER_TOKEN.fullmatch(value):
            raise ValueError(
                "the token can't be sent: it must be a string of letters, digits and -._~+/="
            )
        self._value = value

    @property
    def header(self) -> str:
        """The value of the header `Authorization`."""
        return f"Bearer {self._value}"
