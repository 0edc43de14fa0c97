"""Works out what a fleet needs and costs, from the table of inputs in docs/scaling.md.

`make scaling` replaces the tables of results in that page by the current ones.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Self

from tests.benchmarks.conflicts import table as conflicts

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
INPUT = re.compile(r"^\| `(\w+)` \| ([\d,.]+) \|", re.MULTILINE)
HOURS, MINUTE, MILLION = 730, 60, 10**6
"""The hours of a month, and the seconds of a minute."""


AVOIDABLE = ("I/O of writes", "logs", "web ACL")
"""Costs for each request that other settings avoid."""


@dataclass(frozen=True)
class Inputs:
    """What is measured, documented or assumed; the page explains each of them."""

    players: float
    players_per_session: float
    session_minutes: float
    heartbeat_seconds: float
    reads_per_minute: float
    lists_per_join: float

    read_cpu_us: float
    list_cpu_us: float
    create_cpu_us: float
    join_cpu_us: float
    status_cpu_us: float
    heartbeat_cpu_us: float
    read_bytes: float
    list_bytes: float
    overhead_bytes: float
    log_bytes: float

    pod_request_cores: float
    autoscaler_target: float
    pool_size: float
    pods_per_balancer: float
    latency_ms: float
    database_read_us: float
    database_write_us: float
    database_target: float
    ios_per_write: float
    kept_connections: float

    price_core_hour: float
    price_database_core_hour: float
    price_million_ios: float
    price_log_gb: float
    price_balancer_unit_hour: float
    price_traffic_gb: float
    price_million_checked: float

    @classmethod
    def of(cls, page: str) -> Self:
        """The inputs in the page. Raises ValueError if there are others than those above."""
        found = {name: float(value.replace(",", "")) for name, value in INPUT.findall(page)}
        if wrong := found.keys() ^ {field.name for field in fields(cls)}:
            raise ValueError(f"missing or unknown inputs: {', '.join(sorted(wrong))}")
        return cls(**found)


@dataclass(frozen=True)
class Fleet:
    """A fleet in which so many heartbeats arrive in a second."""

    given: Inputs
    heartbeats: float

    @property
    def sessions(self) -> float:
        return self.given.players / self.given.players_per_session

    @property
    def sessions_per_second(self) -> float:
        """How many sessions begin, and how many end."""
        return self.sessions / (self.given.session_minutes * MINUTE)

    @property
    def joins(self) -> float:
        """How many players join in a second; as many leave."""
        return self.sessions_per_second * self.given.players_per_session

    @property
    def operations(self) -> dict[str, tuple[float, float, int, int, float]]:
        """Of each operation: requests a second, CPU in microseconds, commands that read and that
        write, and the bytes of the response."""
        i, each = self.given, self.sessions_per_second
        return {
            "heartbeats": (self.heartbeats, i.heartbeat_cpu_us, 1, 1, i.read_bytes),
            "reads": (i.players * i.reads_per_minute / MINUTE, i.read_cpu_us, 1, 0, i.read_bytes),
            "lists": (self.joins * i.lists_per_join, i.list_cpu_us, 1, 0, i.list_bytes),
            "creations": (each, i.create_cpu_us, 0, 1, i.read_bytes),
            "joins and leaves": (2 * self.joins, i.join_cpu_us, 1, 2, i.read_bytes),
            "changes of status": (3 * each, i.status_cpu_us, 1, 1, i.read_bytes),
        }

    def total(self, value: Callable[[tuple[float, float, int, int, float]], float]) -> float:
        """The sum over all operations of their requests a second, times a value of each."""
        return sum(operation[0] * value(operation) for operation in self.operations.values())

    @property
    def requests(self) -> float:
        return self.total(lambda _: 1)

    @property
    def cores(self) -> float:
        return self.total(lambda operation: operation[1]) / MILLION

    @property
    def reads(self) -> float:
        return self.total(lambda operation: operation[2])

    @property
    def writes(self) -> float:
        return self.total(lambda operation: operation[3])

    def pods(self, request_cores: float) -> int:
        """The pods of the autoscaler, if a pod requests so many cores."""
        return math.ceil(self.cores / (request_cores * self.given.autoscaler_target))

    @property
    def database_cores(self) -> float:
        i = self.given
        used = self.reads * i.database_read_us + self.writes * i.database_write_us
        return used / MILLION / i.database_target

    @property
    def commands_in_flight(self) -> float:
        return (self.reads + self.writes) * self.given.latency_ms / 1000

    @property
    def bytes(self) -> float:
        """The bytes a second that clients receive."""
        return self.total(lambda operation: operation[4] + self.given.overhead_bytes)

    @property
    def log_bytes(self) -> float:
        return self.requests * self.given.log_bytes

    @property
    def balancer_units(self) -> float:
        """The load balancer capacity units: whichever is more, connections or bytes."""
        return max(self.given.kept_connections / 3000, self.bytes * 3600 / 10**9)

    @property
    def costs(self) -> dict[str, float]:
        """Dollars a month."""
        i, month = self.given, HOURS * 3600
        return {
            "nodes": self.pods(1) * i.price_core_hour * HOURS,
            "database, with one replica": 2
            * self.database_cores
            * i.price_database_core_hour
            * HOURS,
            "I/O of writes": self.writes * i.ios_per_write * month / MILLION * i.price_million_ios,
            "logs": self.log_bytes * month / 10**9 * i.price_log_gb,
            "web ACL": self.requests * month / MILLION * i.price_million_checked,
            "load balancers": self.balancer_units * i.price_balancer_unit_hour * HOURS,
            "traffic": self.bytes * month / 10**9 * i.price_traffic_gb,
        }


def number(value: float) -> str:
    """Three significant digits, because the inputs have no more."""
    if value >= 100:
        value = round(value, 2 - math.floor(math.log10(value)))
        return f"{value:,.0f}"
    return f"{value:.3g}"


Row = tuple[str, Callable[[Fleet], float]]
ROWS: list[Row] = [
    ("sessions at once", lambda f: f.sessions),
    ("requests a second", lambda f: f.requests),
    ("of them heartbeats", lambda f: f.heartbeats),
    ("of them joins and leaves", lambda f: 2 * f.joins),
    ("CPU cores that the service uses", lambda f: f.cores),
    ("pods as shipped", lambda f: f.pods(f.given.pod_request_cores)),
    ("pods, if each requests one core", lambda f: f.pods(1)),
    (
        "load balancers for these pods",
        lambda f: math.ceil(f.pods(1) / f.given.pods_per_balancer),
    ),
    ("database connections of these pods at most", lambda f: f.pods(1) * f.given.pool_size),
    ("database commands a second: reads", lambda f: f.reads),
    ("database commands a second: writes", lambda f: f.writes),
    ("commands in flight on average", lambda f: f.commands_in_flight),
    ("vCPUs of the primary", lambda f: f.database_cores),
    ("traffic to clients, Gbit/s", lambda f: f.bytes * 8 / 10**9),
    ("logs, TB a day", lambda f: f.log_bytes * 86400 / 10**12),
    ("load balancer capacity units", lambda f: f.balancer_units),
]


def fleets(given: Inputs) -> list[Fleet]:
    """A fleet in which each player sends heartbeats, and one in which game servers do."""
    by_players = given.players / given.heartbeat_seconds
    return [Fleet(given, by_players), Fleet(given, by_players / given.players_per_session)]


def example(given: Inputs) -> str:
    """The worked example as a Markdown table."""
    both = fleets(given)
    lines = ["| | each player sends heartbeats | the game server does |", "|---|---:|---:|"]
    rows: list[Row] = [*ROWS]
    rows += [
        (f"dollars a month: {name}", lambda f, name=name: f.costs[name])  # type: ignore[misc]
        for name in both[0].costs
    ]
    rows.append(("**dollars a month**", lambda f: sum(f.costs.values())))
    rows.append(
        (
            "of them for I/O, logs and the web ACL",
            lambda f: sum(f.costs[name] for name in AVOIDABLE),
        )
    )
    for name, value in rows:
        lines.append(f"| {name} | {' | '.join(number(value(fleet)) for fleet in both)} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class InstanceClass:
    """An instance class of DocumentDB with its limits, as AWS documents them."""

    name: str
    vcpus: int
    memory_gib: int
    connections: int
    active: int
    """The limit of connections that are used at the same moment."""
    cursors: int
    bandwidth: str


CLASSES = [
    InstanceClass("t3.medium", 2, 4, 1000, 102, 30, "0.256 / 5"),
    InstanceClass("r6g.large", 2, 16, 3400, 1100, 450, "0.75 / 10"),
    InstanceClass("r6g.xlarge", 4, 32, 7000, 2700, 450, "1.25 / 10"),
    InstanceClass("r6g.2xlarge", 8, 64, 14200, 4500, 450, "2.5 / 10"),
    InstanceClass("r6g.4xlarge", 16, 128, 28400, 4500, 760, "5.0 / 10"),
    InstanceClass("r6g.8xlarge", 32, 256, 60000, 4500, 1520, "12"),
    InstanceClass("r6g.12xlarge", 48, 384, 60000, 4500, 2280, "20"),
    InstanceClass("r6g.16xlarge", 64, 512, 60000, 4500, 3040, "25"),
]


def classes(given: Inputs) -> str:
    """The limits of each class, and how many pods keep within them, as a Markdown table."""
    lines = [
        "| class | vCPUs | memory, GiB | connections | active at once | open cursors | Gbit/s "
        f"| pods at {given.pool_size:g} active connections |",
        "|---|---:|---:|---:|---:|---:|---|---:|",
    ]
    for c in CLASSES:
        cells = [c.name, f"{c.vcpus}", f"{c.memory_gib}", f"{c.connections:,}", f"{c.active:,}"]
        cells += [f"{c.cursors:,}", c.bandwidth, f"{c.active // given.pool_size:,.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def class_for(fleet: Fleet) -> str:
    """The smallest class that suffices for the fleet with pods of one core each."""
    connections = fleet.pods(1) * fleet.given.pool_size
    for instance in CLASSES:
        if instance.vcpus >= fleet.database_cores and instance.active >= connections:
            return instance.name
    return "none"


SIZES = (1_000, 10_000, 100_000, MILLION)


def sizes(given: Inputs) -> str:
    """What fleets of different sizes need, as a Markdown table."""
    lines = [
        "| players | requests a second | cores | pods as shipped | pods of one core "
        "| vCPUs of the primary | smallest class |",
        "|---:|---:|---:|---:|---:|---:|---|",
    ]
    for players in SIZES:
        fleet, _ = fleets(replace(given, players=players))
        pods = fleet.pods(given.pod_request_cores), fleet.pods(1)
        values = (players, fleet.requests, fleet.cores, *pods, fleet.database_cores)
        cells = [*map(number, values), class_for(fleet)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def capacity(given: Inputs) -> str:
    """What one pod serves, as shipped and at the most, as a Markdown table."""
    operations = fleets(given)[0].operations
    shipped = given.pod_request_cores * given.autoscaler_target
    lines = [
        f"| | CPU, µs | requests a second at {shipped:g} cores | at {given.autoscaler_target:g} |",
        "|---|---:|---:|---:|",
    ]
    for name, (_, cpu, *_) in operations.items():
        rates = (cores * MILLION / cpu for cores in (shipped, given.autoscaler_target))
        lines.append(f"| {name} | {cpu:,.0f} | {' | '.join(number(rate) for rate in rates)} |")
    return "\n".join(lines)


def with_section(page: str, name: str, text: str) -> str:
    """The page with this text between two markers. Raises ValueError if they are missing."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no section between {begin} and {end}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def with_results(page: str) -> str:
    """The page with the current results."""
    given = Inputs.of(page)
    results = {
        "capacity": capacity(given),
        "classes": classes(given),
        "sizes": sizes(given),
        "example": example(given),
        "conflicts": conflicts((0.002, 0.005), (10, 50, 200)),
    }
    for name, result in results.items():
        page = with_section(page, name, result)
    return page


def main() -> None:
    PAGE.write_text(with_results(PAGE.read_text()))


if __name__ == "__main__":
    main()
