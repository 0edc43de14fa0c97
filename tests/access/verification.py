"""Tokens made by hand, and what an authenticator says about them."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from jwt.algorithms import HMACAlgorithm

from game_api.access.caller import Caller
from game_api.access.errors import Unauthenticated
from game_api.access.tokens import Authenticator
from game_api.settings import Settings
from tests.access.minting import SECRET
from tests.access.provider import AUDIENCE, ISSUER, bearer, claims, segment

INVALID = 'Bearer error="invalid_token"'
"""The challenge of a refusal if there was a token."""


def settings(**changes: Any) -> Settings:
    """Settings with a secret, an issuer and an audience; None removes one."""
    given = {
        "auth": "jwt",
        "jwt_issuer": ISSUER,
        "jwt_audience": AUDIENCE,
        "jwt_secret": SECRET,
    } | changes
    return Settings.model_validate({k: v for k, v in given.items() if v is not None})


def signed(
    payload: Any = None, secret: str | bytes = SECRET, head: Any = None, **header: Any
) -> str:
    """A token of which nothing is checked: `head` replaces the header, others change it."""
    first = segment({"alg": "HS256", "typ": "JWT"} | header if head is None else head)
    body = segment(claims() if payload is None else payload)
    key = secret.encode() if isinstance(secret, str) else secret
    signature = HMACAlgorithm(HMACAlgorithm.SHA256).sign(f"{first}.{body}".encode(), key)
    return f"{first}.{body}.{segment(signature)}"


def with_claims(**changes: Any) -> str:
    return signed(claims(**changes))


async def check(
    headers: list[tuple[bytes, bytes]], clock: Callable[[], float] = time.time, **changes: Any
) -> Caller:
    """The caller that these headers name, under settings with these changes."""
    async with Authenticator(settings(**changes), clock) as authenticator:
        return await authenticator.authenticate(headers)


async def refusal(headers: list[tuple[bytes, bytes]], **changes: Any) -> Unauthenticated:
    """Why these headers are refused."""
    with pytest.raises(Unauthenticated) as caught:
        await check(headers, **changes)
    return caught.value


@asynccontextmanager
async def authenticating(url: str) -> AsyncIterator[Authenticator]:
    """An authenticator with the keys that are published there."""
    async with Authenticator(settings(jwt_secret=None, jwks_url=url)) as authenticator:
        yield authenticator


async def accepts(authenticator: Authenticator, token: str) -> bool:
    """Whether the token is accepted. Raises KeysUnavailable."""
    try:
        await authenticator.authenticate(bearer(token))
    except Unauthenticated:
        return False
    return True
