"""The cost of the smallest write, which stands in for a heartbeat in docs/scaling.md."""

from pathlib import Path

from tests.benchmarks.documents import seed
from tests.benchmarks.measure import Load, measured
from tests.benchmarks.relay import CountingRelay
from tests.benchmarks.servers import GAME_API, DatabaseServer, Server, variant
from tests.benchmarks.spread import Spread

ROUNDS, REQUESTS = 5, 200


def test_a_change_of_a_member_costs_as_much_as_a_change_of_status(tmp_path: Path) -> None:
    """Of the commands, which are asserted; the ratio of the CPU is printed."""
    cpu: dict[str, list[float]] = {"status": [], "ready": []}
    with (
        DatabaseServer(tmp_path) as database,
        CountingRelay(database.port) as relay,
        Load() as load,
    ):
        seed(database.uri, "heartbeats")
        with Server(variant(GAME_API), relay.uri, "heartbeats", tmp_path) as server:
            server.wait_until_ready()
            for operation in [*cpu] * ROUNDS:
                relay.take()
                result, used = measured(load, server, operation, connections=16, requests=REQUESTS)
                cpu[operation].append(used)
                commands = relay.take()
                assert commands.total() == 2 * result.requests, commands
    ratio = Spread.of_ratios(cpu["ready"], cpu["status"])
    print(f"\nthe CPU of a change of a member, to that of a change of status: {ratio.text()}")
