"""What each operation asks of the database, and how much it answers. This depends on no clock."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.documents import seed
from tests.benchmarks.measure import Load, asked
from tests.benchmarks.operations import OPERATIONS
from tests.benchmarks.relay import WRITES, CountingRelay
from tests.benchmarks.servers import FLOOR, GAME_API, DatabaseServer, Server, Variant

REQUESTS = 20
"""How many requests of each operation are counted; one client sends them."""
COUNTED = [name for name in OPERATIONS if name != "mix"]


@dataclass(frozen=True)
class Count:
    """The average of one request."""

    commands: float
    writes: float
    body_bytes: float


EXPECTED = {
    "get_player": Count(1, 0, 251.5),
    "get_session_8": Count(1, 0, 1203),
    "get_session_64": Count(1, 0, 6299),
    "create_player": Count(1, 1, 287),
    "sign_up": Count(1, 1, 287),
    "create_session": Count(1, 1, 468),
    "join_leave": Count(3, 2, 600.95),
    "status": Count(2, 1, 1208.5),
    "list_sessions": Count(1, 0, 24207),
}
"""The counts of game-api. Those of the floor are the same, because it does the same work.

A change of them is a change of what the service does, so it has to be made here as well.
"""


@dataclass(frozen=True)
class Counted:
    """The count of an operation, and the names of its commands, with how often each is sent."""

    count: Count
    names: Mapping[str, float]


def count(
    variant: Variant, database: DatabaseServer, load: Load, directory: Path
) -> dict[str, Counted]:
    """Count each operation on a server of its own, with new documents."""
    name, counted = f"counts-{variant.name}", {}
    seed(database.uri, name)
    with CountingRelay(database.port) as relay:
        with Server(variant, relay.uri, name, directory) as server:
            server.wait_until_ready()
            for operation in COUNTED:
                relay.take()
                result = asked(load, server, operation, requests=REQUESTS, connections=1)
                commands = relay.take()
                writes = sum(n for command, n in commands.items() if command.name in WRITES)
                names = {f"{command}": n / result.requests for command, n in commands.items()}
                each = (commands.total(), writes, result.body_bytes)
                counted[operation] = Counted(Count(*(n / result.requests for n in each)), names)
    return counted


def mistakes(counts: Mapping[str, Mapping[str, Counted]]) -> Iterator[str]:
    """One sentence for each count of game-api, or of the floor, that is not as expected."""
    for variant in (FLOOR, GAME_API):
        for operation, counted in counts.get(variant, {}).items():
            for name, right in dataclasses.asdict(EXPECTED[operation]).items():
                found = getattr(counted.count, name)
                if found != right:
                    words = name.replace("_", " ")
                    yield f"{operation} of {variant}: {found:g} {words} instead of {right:g}"
