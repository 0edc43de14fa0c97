"""The client. The sync client is generated from the async one: edit only the async one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from importlib.metadata import version
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, overload

import httpx

from .async_tokens import AsyncTokens
from .attempts import Attempts, Outcome
from .concurrency import async_sleep
from .models import Health, Player, PlayerPage, Session, SessionPage
from .requests import PlayerFilters, Request, SessionFilters, path, query
from .tokens import AsyncTokenSource, Token

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .models import (
        MemberUpdate,
        PartyJoin,
        PlayerCreate,
        PlayerUpdate,
        SessionCreate,
        SessionJoin,
        SessionUpdate,
    )

T = TypeVar("T")


class AsyncGameApi:
    """Calls game-api. All methods raise GameApiError.

    Args:
        base_url: The address of the service, with the path prefix if it has one.
        token: The token of the caller, or a function that gets one. The function is called before
            the first request, and once more if the service refuses the token (401). What it raises
            is raised by the method that needed the token.
        headers: Headers for every request.
        timeout: The seconds for each of: connecting, sending and receiving data, and waiting for a
            free connection. An `httpx.Timeout` sets them one by one; None waits forever.
        retries: How often a request that is safe to repeat is repeated after a passing failure.
        http_client: A client of httpx to send the requests with, for example with a proxy or with a
            transport for tests. The caller closes it.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: AsyncTokenSource | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | httpx.Timeout | None = 10.0,
        retries: int = 3,
        http_client: httpx.AsyncClient | None = None,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._headers = httpx.Headers(
            {"User-Agent": f"game-api-client/{version('game-api-client')}"}
        )
        self._headers.update(headers)
        self._tokens = AsyncTokens(token)
        self._timeout = timeout
        self._retries = retries
        self._http = http_client or httpx.AsyncClient()
        self._owns_http = http_client is None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections, unless they belong to the `http_client` of the caller."""
        if self._owns_http:
            await self._http.aclose()

    async def health(self) -> Health:
        """Get the version of the service; the process is running if there is a response."""
        return await self._send(Request[Health]("GET", "/health"))

    async def create_player(
        self, *, idempotency_key: str | None = None, **player: Unpack[PlayerCreate]
    ) -> Player:
        """Create a player.

        A call with the key of an earlier one returns the player that the earlier one created.
        """
        request = Request[Player].post(path("players"), player, idempotency_key)
        return await self._send(request)

    @overload
    async def get_player(self, player_id: str) -> Player: ...

    @overload
    async def get_player(self, player_id: str, *, if_none_match: int | None) -> Player | None: ...

    async def get_player(self, player_id: str, *, if_none_match: int | None = None) -> Any:
        """Get a player; None if the player still has the version `if_none_match`."""
        request = Request[Any]("GET", path("players", player_id), if_none_match=if_none_match)
        return await self._send(request)

    async def update_player(
        self, player_id: str, *, if_match: int | None = None, **changes: Unpack[PlayerUpdate]
    ) -> Player:
        """Change a player. Absent fields keep their values, and None clears `region`.

        With `if_match`, the player must still have this version: otherwise VersionMismatch.
        """
        location = path("players", player_id)
        return await self._send(Request[Player]("PUT", location, body=changes, if_match=if_match))

    async def delete_player(self, player_id: str, *, if_match: int | None = None) -> None:
        """Delete a player who has no seat in a live session."""
        await self._send(Request[None]("DELETE", path("players", player_id), if_match=if_match))

    async def list_players(
        self, *, cursor: str | None = None, **filters: Unpack[PlayerFilters]
    ) -> PlayerPage:
        """List one page of the players. `cursor` is the `next_cursor` of the page before."""
        parameters = query(filters, cursor)
        return await self._send(Request[PlayerPage]("GET", path("players"), query=parameters))

    async def players(self, **filters: Unpack[PlayerFilters]) -> AsyncIterator[Player]:
        """Iterate over the players of all pages."""
        cursor = None
        while True:
            page = await self.list_players(cursor=cursor, **filters)
            for player in page["items"]:
                yield player
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def get_player_session(self, player_id: str) -> Session:
        """Get the live session in which the player has a seat; NotFound if there is none."""
        return await self._send(Request[Session]("GET", path("players", player_id, "session")))

    async def create_session(
        self, *, idempotency_key: str | None = None, **session: Unpack[SessionCreate]
    ) -> Session:
        """Create a session. The host, if there is one, takes the first seat.

        A call with the key of an earlier one returns the session that the earlier one created.
        """
        request = Request[Session].post(path("sessions"), session, idempotency_key)
        return await self._send(request)

    @overload
    async def get_session(self, session_id: str) -> Session: ...

    @overload
    async def get_session(
        self, session_id: str, *, if_none_match: int | None
    ) -> Session | None: ...

    async def get_session(self, session_id: str, *, if_none_match: int | None = None) -> Any:
        """Get a session; None if the session still has the version `if_none_match`."""
        request = Request[Any]("GET", path("sessions", session_id), if_none_match=if_none_match)
        return await self._send(request)

    async def update_session(
        self, session_id: str, *, if_match: int | None = None, **changes: Unpack[SessionUpdate]
    ) -> Session:
        """Change a session. Absent fields keep their values, and None clears `region` and `server`.

        With `if_match`, the session must still have this version: otherwise VersionMismatch.
        """
        location = path("sessions", session_id)
        return await self._send(Request[Session]("PUT", location, body=changes, if_match=if_match))

    async def list_sessions(
        self, *, cursor: str | None = None, **filters: Unpack[SessionFilters]
    ) -> SessionPage:
        """List one page of the public sessions, newest first."""
        parameters = query(filters, cursor)
        return await self._send(Request[SessionPage]("GET", path("sessions"), query=parameters))

    async def sessions(self, **filters: Unpack[SessionFilters]) -> AsyncIterator[Session]:
        """Iterate over the public sessions of all pages, newest first."""
        cursor = None
        while True:
            page = await self.list_sessions(cursor=cursor, **filters)
            for session in page["items"]:
                yield session
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def join_session(
        self,
        session_id: str,
        player_id: str,
        *,
        if_match: int | None = None,
        **join: Unpack[SessionJoin],
    ) -> Session:
        """Give a player a seat. A player who has one keeps it."""
        seat = path("sessions", session_id, "players", player_id)
        return await self._send(Request[Session]("PUT", seat, body=join, if_match=if_match))

    async def join_session_as_party(
        self,
        session_id: str,
        *,
        idempotency_key: str | None = None,
        **party: Unpack[PartyJoin],
    ) -> Session:
        """Give each of `player_ids` a seat, or none of them."""
        seats = path("sessions", session_id, "players")
        return await self._send(Request[Session].post(seats, party, idempotency_key))

    async def update_member(
        self,
        session_id: str,
        player_id: str,
        *,
        if_match: int | None = None,
        **changes: Unpack[MemberUpdate],
    ) -> Session:
        """Change whether a member is ready, or the team."""
        seat = path("sessions", session_id, "players", player_id)
        return await self._send(Request[Session]("PATCH", seat, body=changes, if_match=if_match))

    async def leave_session(
        self, session_id: str, player_id: str, *, if_match: int | None = None
    ) -> None:
        """Free the seat of a player. It is no error if the player has none."""
        seat = path("sessions", session_id, "players", player_id)
        await self._send(Request[None]("DELETE", seat, if_match=if_match))

    async def _send(self, request: Request[T]) -> T:
        attempts = Attempts(request, self._retries)
        while True:
            token = await self._tokens.current() if request.needs_token else None
            outcome = await self._attempt(request, token)
            if attempts.may_replace_token(outcome) and await self._tokens.replace(token):
                continue
            delay = attempts.delay_after(outcome)
            if delay is None:
                return attempts.result(outcome)
            await async_sleep(delay)

    async def _attempt(self, request: Request[T], token: Token | None) -> Outcome:
        headers = httpx.Headers(self._headers)
        headers.update(request.headers)
        if token is not None:
            headers["Authorization"] = token.header
        try:
            return await self._http.request(
                request.method,
                self._base_url + request.path,
                params=request.query,
                headers=headers,
                json=request.body,
                timeout=self._timeout,
                # A redirection could lead to another service, which must not get the token.
                follow_redirects=False,
            )
        except httpx.RequestError as error:
            return error
