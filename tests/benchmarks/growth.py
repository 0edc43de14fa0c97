"""What grows with the data: each operation beside 10^3, 10^4 and 10^5 players and sessions.

`python -m tests.benchmarks.growth` fills one database for each size, and serves each by a process
of its own. The live sessions are the same in all of them; the others have ended. One client asks
each process in turn, so that whatever else the machine does meets all sizes alike. Prints the
medians of the rounds, as ratios to the smallest size. Wrong answers, such as 503 for a list that
the embedded database does not finish in time, are counted in the table.
"""

import argparse
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pymongo import MongoClient

from game_api.database.client import Document
from tests.benchmarks import documents
from tests.benchmarks.documents import PLAYERS, SESSIONS
from tests.benchmarks.measure import Load
from tests.benchmarks.operations import LISTS
from tests.benchmarks.processes import BenchmarkFailed, cpu_seconds
from tests.benchmarks.servers import GAME_API, DatabaseServer, Server, variant
from tests.build import LATER

SIZES = (1_000, 10_000, 100_000)
FIRST_FILLER = 1_000_000
"""The number of the first player and session that no operation asks for."""
SINGLE = ("get_player", "get_session_8", "join_leave", "status", "ready")
REQUESTS, REQUESTS_OF_LISTS = 100, 8
FLAT = 1.3
SETTLE_SECONDS = 0.1


@dataclass(frozen=True)
class Cost:
    """The cost of one request."""

    milliseconds: float
    service: float
    """The CPU time of the process that serves it."""
    database: float
    wrong: int
    """How many answers were not the expected ones."""


def fill(uri: str, name: str, size: int) -> None:
    """A database with so many players and sessions; those beyond `documents.seed` have ended."""
    documents.seed(uri, name)
    with MongoClient[Document](uri, tz_aware=True) as client:
        for collection, filler in {PLAYERS: player, SESSIONS: ended_session}.items():
            missing = size - client[name][collection].estimated_document_count()
            numbers = range(FIRST_FILLER, FIRST_FILLER + missing)
            documents.insert(client, name, **{collection: map(filler, numbers)})


def player(number: int) -> Document:
    return documents.player(f"g{number}")


def ended_session(number: int) -> Document:
    ended = "cancelled" if number % 10 == 9 else "ended"
    changes = {"status": ended, "started_at": LATER, "ended_at": LATER}
    return documents.seated(number, 2, game_mode=f"mode{number % 10}", **changes)


class Growth:
    """The servers of all sizes, on one database server."""

    def __init__(self, database: DatabaseServer, load: Load, servers: dict[int, Server]) -> None:
        self._database, self._load, self._servers = database, load, servers

    def measure(self, operation: str, rounds: int) -> dict[int, list[Cost]]:
        """The cost of an operation in each round, by the number of documents."""
        costs: dict[int, list[Cost]] = {size: [] for size in self._servers}
        for number in range(rounds + 1):
            sizes = list(self._servers)
            for size in sizes[number % len(sizes) :] + sizes[: number % len(sizes)]:
                cost = self._cost(self._servers[size], operation)
                if number:  # The first round warms up.
                    costs[size].append(cost)
        return costs

    def _cost(self, server: Server, operation: str) -> Cost:
        requests = REQUESTS if operation in SINGLE else REQUESTS_OF_LISTS
        server.check()
        self._settle()
        before = cpu_seconds(server.id), cpu_seconds(self._database.id)
        result = self._load.run(
            [server.port], operation=operation, connections=1, requests=requests
        )
        after = cpu_seconds(server.id), cpu_seconds(self._database.id)
        service, database = (
            (end - begin) / result.requests for begin, end in zip(before, after, strict=True)
        )
        return Cost(result.p50_ms, service, database, sum(result.unexpected.values()))

    def _settle(self) -> None:
        """Wait while the database goes on with a query whose request is over."""
        busy = True
        while busy:
            before = cpu_seconds(self._database.id)
            time.sleep(SETTLE_SECONDS)
            busy = cpu_seconds(self._database.id) - before > SETTLE_SECONDS / 2


def growth_of(costs: Sequence[Cost], base: Sequence[Cost], value: str) -> float:
    """The median of the ratios that were measured in the same round."""
    pairs = zip(costs, base, strict=True)
    ratios: list[float] = [getattr(cost, value) / getattr(other, value) for cost, other in pairs]
    return statistics.median(ratios)


def cells(operation: str, costs: dict[int, list[Cost]]) -> Iterator[str]:
    """A row of the table."""
    smallest, *others = costs.values()
    yield operation
    yield f"{statistics.median(cost.milliseconds for cost in smallest):.1f} ms" + wrong(smallest)
    for of_size in others:
        latency, service, database = (
            growth_of(of_size, smallest, value) for value in ("milliseconds", "service", "database")
        )
        yield f"{latency:.2f} ({service:.2f}; {database:.2f})" + wrong(of_size)


def wrong(costs: Sequence[Cost]) -> str:
    number = sum(cost.wrong for cost in costs)
    return f", {number} wrong" if number else ""


def run(sizes: Sequence[int], rounds: int, operations: Sequence[str]) -> None:
    """Measure, and print the table. Raises BenchmarkFailed if a server does not work."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        database = stack.enter_context(DatabaseServer(directory))
        servers = {}
        for size in sizes:
            print(f"filling {size}", file=sys.stderr)
            fill(database.uri, f"growth_{size}", size)
            server = Server(variant(GAME_API), database.uri, f"growth_{size}", directory)
            servers[size] = stack.enter_context(server).wait_until_ready()
        growth = Growth(database, stack.enter_context(Load()), servers)
        print("Latency with one client, and its growth (CPU of the service; of the database).\n")
        print(f"| | {' | '.join(f'{size:,}' for size in sizes)} |")
        print(f"|---|{'---:|' * len(sizes)}")
        grown = []
        for operation in operations:
            costs = growth.measure(operation, rounds)
            print(f"| {' | '.join(cells(operation, costs))} |", flush=True)
            smallest, *_, largest = costs.values()
            if operation in SINGLE and growth_of(largest, smallest, "milliseconds") > FLAT:
                grown.append(operation)
        if grown:
            print(f"\nnot flat within {FLAT}: {', '.join(grown)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.growth", description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of documents")
    parser.add_argument("--rounds", type=int, default=5, help="how often to measure everything")
    parser.add_argument("--operations", default=",".join([*SINGLE, *LISTS]), help="a list")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # The servers end as well.
    try:
        sizes = [int(size) for size in options.sizes.split(",")]
        run(sizes, options.rounds, options.operations.split(","))
    except BenchmarkFailed as error:
        sys.exit(f"growth: {error}")


if __name__ == "__main__":
    main()
