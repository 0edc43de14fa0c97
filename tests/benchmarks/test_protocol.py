"""The cost of the HTTP protocol of the service, compared with that of uvicorn, its base."""

import statistics
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from game_api.http.protocol import Http11Protocol
from game_api.runtime import Runtime
from tests.http.conftest import LocalServer
from tests.http.wire import Wire, request
from tests.service import Service

PAIRS, ROUNDS, CALLS = 5, 6, 200
GET_PLAYER = request(
    "GET", "/api/v1/players/ada", "User-Agent: benchmark", "Accept: */*", "Accept-Encoding: gzip"
)
PLAYER = {"username": "ada", "player_id": "ada"}


class UvicornsProtocol(Service):
    """The service with the protocol of uvicorn."""

    module = "tests.benchmarks.uvicorns_protocol"


def cpu_microseconds(service: Service) -> float:
    """The CPU time that all threads of the service have used."""
    tasks = Path(f"/proc/{service.process.pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1000


def cost(service: Service, wire: Wire, sent: bytes = GET_PLAYER) -> float:
    """The CPU time of the service for one request, in microseconds."""
    before = cpu_microseconds(service)
    for _ in range(CALLS):
        assert wire.exchange(sent).status == 200
    return (cpu_microseconds(service) - before) / CALLS


@pytest.mark.timeout(300)
def test_the_cost_of_the_protocol_for_a_request(service_database: str) -> None:
    """The rounds alternate, and so do new processes: two of the same program differ by 4 %."""
    settings = {"GAME_API_PORT": "0", "GAME_API_MONGODB_URI": service_database}
    costs: dict[str, list[float]] = {"game-api": [], "uvicorn": []}
    for _ in range(PAIRS):
        with Service(settings) as ours, UvicornsProtocol(settings) as uvicorns:
            httpx2.post(f"{ours.address}/api/v1/players", json=PLAYER)
            with Wire(ours) as our_wire, Wire(uvicorns) as their_wire:
                for _ in range(2):  # The first requests warm both services up.
                    cost(ours, our_wire)
                    cost(uvicorns, their_wire)
                for _ in range(ROUNDS):
                    costs["game-api"].append(cost(ours, our_wire))
                    costs["uvicorn"].append(cost(uvicorns, their_wire))
    median = {name: statistics.median(values) for name, values in costs.items()}
    ratio = statistics.median(
        a / b for a, b in zip(costs["game-api"], costs["uvicorn"], strict=True)
    )
    print(
        f"\nGET of a player: {median['game-api']:.1f} us of CPU, with uvicorn's protocol "
        f"{median['uvicorn']:.1f} us; the median ratio of {PAIRS * ROUNDS} rounds is {ratio:.3f}"
    )


def test_an_ordinary_request_sets_no_timer(
    runtime: Runtime, service_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[float] = []
    original = Http11Protocol.set_timer

    def counted(
        self: Http11Protocol, seconds: float | None, callback: Callable[[], None] = print
    ) -> None:
        if seconds is not None:
            timers.append(seconds)
        original(self, seconds, callback)

    monkeypatch.setattr(Http11Protocol, "set_timer", counted)
    server = LocalServer(runtime, service_database, keep_alive=75)
    try:
        with Wire(server) as wire:
            for _ in range(100):
                assert wire.exchange(GET_PLAYER).status == 404
            assert not timers
            wire.exchange(GET_PLAYER[:10], GET_PLAYER[10:])
            assert timers == [20]
    finally:
        server.stop()
