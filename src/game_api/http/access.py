"""The admission of requests: who makes them, how many, and with which permission."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, Request
from limits import RateLimitItem
from starlette.responses import Response
from starlette.types import Scope

from game_api.access.caller import ANYBODY, Caller
from game_api.access.errors import Unauthenticated
from game_api.access.limits import Limiter, client_address
from game_api.access.policy import Grant, Permission, grant
from game_api.access.tokens import AUTHORIZATION, Authenticator
from game_api.http.dependencies import object_of
from game_api.http.steps import Handler, Step
from game_api.settings import Settings

FORWARDED = b"x-forwarded-for"


class Gate:
    """Admits requests, or refuses them before anything else about them is looked at."""

    def __init__(self, settings: Settings, authenticator: Authenticator | None) -> None:
        self._authenticator = authenticator
        self._trusted_proxies = settings.trusted_proxies
        self._requests = limiter("default", settings.rate_limit)
        self._failures = limiter("failures", settings.auth_failure_limit)

    async def admit(self, scope: Scope) -> Caller:
        """Who makes the request. Raises Unauthenticated, KeysUnavailable or RateLimited.

        The caller, for the log, and the headers that describe a limit are put into the scope,
        whatever the response is.
        """
        if self._authenticator is None:
            scope["caller"] = ANYBODY
            return ANYBODY
        self._check_failures(scope)
        try:
            caller = await self._authenticator.authenticate(scope["headers"])
        except Unauthenticated as error:
            if error.invalid:
                self._count_failure(scope)
            raise
        scope["caller"] = caller
        if self._requests is not None:
            allowed, usage = self._requests.hit(caller.subject or "")
            scope["limit_headers"] = usage.headers()
            if not allowed:
                raise usage.refusal("This principal has made too many requests.")
        return caller

    def _check_failures(self, scope: Scope) -> None:
        """Refuse a token from an address that has sent too many wrong ones."""
        if self._failures is None or self._failures.unused:
            return
        if not any(name == AUTHORIZATION for name, _ in scope["headers"]):
            return
        usage = self._failures.usage(self._address(scope))
        if usage.remaining <= 0:
            scope["limit_headers"] = usage.headers()
            raise usage.refusal("Too many wrong tokens came from this address.")

    def _count_failure(self, scope: Scope) -> None:
        if self._failures is not None:
            _, usage = self._failures.hit(self._address(scope))
            scope["limit_headers"] = usage.headers()

    def _address(self, scope: Scope) -> str:
        lines = [value.decode("latin-1") for name, value in scope["headers"] if name == FORWARDED]
        peer = scope["client"][0] if scope["client"] else ""
        return client_address(peer, ",".join(lines), self._trusted_proxies)


def limiter(name: str, limit: RateLimitItem | None) -> Limiter | None:
    """The limiter of this name; None if the limit is off."""
    return None if limit is None else Limiter(name, limit)


@asynccontextmanager
async def open_gate(settings: Settings) -> AsyncIterator[Gate]:
    """The gate that the settings describe."""
    if not settings.authenticates:
        yield Gate(settings, None)
        return
    async with Authenticator(settings) as authenticator:
        yield Gate(settings, authenticator)


def with_permission(permission: Permission) -> Step:
    """Authenticate the caller, apply the rate limit, and check the permission of the role.

    Raises Unauthenticated, KeysUnavailable, RateLimited or Forbidden.
    """

    def step(handler: Handler) -> Handler:
        async def admitted(request: Request) -> Response:
            gate = object_of(request, Gate)
            request.scope["grant"] = grant(permission, await gate.admit(request.scope))
            return await handler(request)

        return admitted

    return step


async def granted(request: Request) -> Grant:
    """What the caller may do, which the step `with_permission` has determined."""
    found: Grant = request.scope["grant"]
    return found


Granted = Annotated[Grant, Depends(granted)]
