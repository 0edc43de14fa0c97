"""What happens to connections when the server shuts down."""

import json
import socket
from collections.abc import Callable

import pytest

from game_api.http import protocol
from tests.http.conftest import LocalServer
from tests.http.wire import Wire, request
from tests.waiting import wait_until

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


def test_a_request_after_the_last_response_is_not_reset(serve: Serve) -> None:
    """The client sends it before it can know that the connection ends."""
    with Wire(serve()) as wire:
        closing = request("GET", "/health", "Connection: close")
        assert wire.exchange(closing).status == 200
        wire.send(HEALTH, HEALTH)
        wire.assert_closed()


def test_the_server_does_not_wait_for_long_for_a_client_that_never_closes(serve: Serve) -> None:
    server = serve()
    with Wire(server) as wire:
        assert wire.exchange(request("GET", "/health", "Connection: close")).status == 200
        wait_until(lambda: not server.connections())
        with pytest.raises(OSError):
            for _ in range(1000):
                wire.send(HEALTH, HEALTH)
    assert socket.create_connection(server.host_and_port)
