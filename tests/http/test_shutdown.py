"""What happens to connections when the server shuts down."""

import asyncio
import json
import socket
from collections.abc import Callable

import pytest
import uvicorn

from game_api.__main__ import Server
from game_api.app import create_app
from game_api.http import protocol
from game_api.http.protocol import Http11Protocol
from game_api.runtime import Runtime
from tests.http.conftest import LocalServer
from tests.http.wire import Wire, request
from tests.waiting import wait_until, wait_until_async

Serve = Callable[..., LocalServer]
HEALTH = request("GET", "/health")
CREATE = request("POST", "/api/v1/players", body=json.dumps({"username": "ada"}).encode())


def begin_shutdown(server: LocalServer) -> None:
    """Begin the shutdown, and wait until every connection knows it."""
    server.server.should_exit = True
    wait_until(lambda: all(connection.draining for connection in server.connections()))


@pytest.mark.parametrize("sent", [b"", HEALTH[:9], CREATE[:40], CREATE[:-5]])
def test_a_request_that_arrives_during_the_shutdown_is_answered(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(protocol, "DRAIN_SECONDS", 60)
    server = serve()
    with Wire(server) as wire:
        if not sent:
            assert wire.exchange(HEALTH).status == 200
        wire.send(sent)
        wait_until(lambda: len(server.connections()) == 1)
        begin_shutdown(server)
        rest = (HEALTH if HEALTH.startswith(sent) else CREATE).removeprefix(sent)
        answer = wire.exchange(rest)
        assert answer.status in (200, 201) and answer.headers["connection"] == "close"
        wire.assert_closed()


async def test_a_connection_that_waits_to_be_accepted_is_served(
    runtime: Runtime, service_database: str
) -> None:
    """The client has connected and sent its request, but the event loop was busy since then."""
    app = create_app(runtime, service_database)
    config = uvicorn.Config(app, http=Http11Protocol, ws="none", log_config=None)
    server = Server(config, runtime.lifecycle, delay=0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        await wait_until_async(lambda: server.started)
        with socket.create_connection(listener.getsockname()) as client:
            client.sendall(HEALTH)
            await server.stop_listening([listener])
            response = await asyncio.to_thread(client.recv, 1000)
        assert response.startswith(b"HTTP/1.1 200 OK")
        server.stop()
        await serving


def test_a_request_after_the_last_response_is_not_reset(serve: Serve) -> None:
    """The client sends it before it can know that the connection ends."""
    with Wire(serve()) as wire:
        closing = request("GET", "/health", "Connection: close")
        assert wire.exchange(closing).status == 200
        wire.send(HEALTH, HEALTH)
        wire.assert_closed()


def test_a_client_that_never_closes_does_not_keep_the_connection(serve: Serve) -> None:
    server = serve()
    with Wire(server) as wire:
        assert wire.exchange(request("GET", "/health", "Connection: close")).status == 200
        wait_until(lambda: not server.connections())
