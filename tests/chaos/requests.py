"""How operations are sent to the service, and how their answers are recorded."""

import time
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.chaos.credentials import Credentials
from tests.chaos.history import Operation
from tests.chaos.stack import Process

TIMEOUT = 15.0
PLAYERS, SESSIONS = "/api/v1/players", "/api/v1/sessions"
UNSENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True)
class Request:
    """Method, path and body of an operation."""

    method: str
    path: str
    body: Any = None


def request_of(operation: Operation) -> Request:
    """The HTTP request of an operation."""
    player = f"{PLAYERS}/{operation.player_id}" if operation.player_ids else ""
    session = f"{SESSIONS}/{operation.session_id}"
    seat = f"{session}/players/{operation.player_id}" if operation.player_ids else ""
    body = operation.body
    requests = {
        "create player": Request("POST", PLAYERS, body),
        "get player": Request("GET", player),
        "update player": Request("PUT", player, body),
        "delete player": Request("DELETE", player),
        "list players": Request("GET", PLAYERS),
        "player session": Request("GET", f"{player}/session"),
        "create session": Request("POST", SESSIONS, body),
        "create session with host": Request("POST", SESSIONS, body),
        "get session": Request("GET", session),
        "update session": Request("PUT", session, body),
        "repeat name": Request("PUT", session, body),
        "list sessions": Request("GET", SESSIONS),
        "join": Request("PUT", seat, body),
        "party": Request("POST", f"{session}/players", {"player_ids": list(operation.player_ids)}),
        "update member": Request("PATCH", seat, body),
        "leave": Request("DELETE", seat),
    }
    return requests[operation.kind]


class Sender:
    """Sends operations to processes of the service."""

    def __init__(self, started: float, credentials: Credentials) -> None:
        self._started = started
        self._credentials = credentials
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        self._client = httpx2.AsyncClient(timeout=TIMEOUT, limits=limits)

    async def aclose(self) -> None:
        await self._client.aclose()

    def now(self) -> float:
        return time.monotonic() - self._started

    async def send(self, operation: Operation, process: Process) -> None:
        """Send the operation, and record its answer in it."""
        request = request_of(operation)
        headers = {"X-Request-ID": f"{operation.marker}.{operation.number}"}
        headers |= self._credentials.headers(operation)
        if operation.key is not None:
            headers["Idempotency-Key"] = operation.key
        if operation.if_match is not None:
            headers["If-Match"] = f'"{operation.if_match}"'
        if operation.if_none_match is not None:
            headers["If-None-Match"] = f'"{operation.if_none_match}"'
        operation.process = process.number
        operation.start = self.now()
        try:
            response = await self._client.request(
                request.method,
                process.service.address + request.path,
                json=request.body,
                params=operation.query,
                headers=headers,
            )
        except UNSENT:
            operation.sent = False
            return
        except httpx2.HTTPError:
            return
        finally:
            operation.over = self.now()
        operation.end = operation.over
        operation.status = response.status_code
        if operation.key is not None:
            operation.text = response.text
            operation.location = response.headers.get("Location")
            operation.replayed = "Idempotent-Replayed" in response.headers
        if response.content:
            operation.answer = response.json()
        if tag := response.headers.get("ETag"):
            operation.etag = int(tag.strip('"'))
