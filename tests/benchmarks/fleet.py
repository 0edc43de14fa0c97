"""Works out what a fleet needs and costs, from the table of inputs in docs/scaling.md."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

INPUT = re.compile(r"^\| `(\w+)` \| ([\d,.]+) \|", re.MULTILINE)
HOURS, MINUTE, MILLION = 730, 60, 10**6
"""The hours of a month, and the seconds of a minute."""


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


class Operation(NamedTuple):
    """Requests of one kind."""

    per_second: float
    cpu_us: float
    reads: int
    """The commands of each request that read, and those that write."""
    writes: int
    bytes: float
    """The body of the response."""


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
    def operations(self) -> dict[str, Operation]:
        i, each = self.given, self.sessions_per_second
        reads = i.players * i.reads_per_minute / MINUTE
        return {
            "heartbeats": Operation(self.heartbeats, i.heartbeat_cpu_us, 1, 1, i.read_bytes),
            "reads": Operation(reads, i.read_cpu_us, 1, 0, i.read_bytes),
            "lists": Operation(self.joins * i.lists_per_join, i.list_cpu_us, 1, 0, i.list_bytes),
            "creations": Operation(each, i.create_cpu_us, 0, 1, i.read_bytes),
            "joins and leaves": Operation(2 * self.joins, i.join_cpu_us, 1, 2, i.read_bytes),
            "changes of status": Operation(3 * each, i.status_cpu_us, 1, 1, i.read_bytes),
        }

    def total(self, value: Callable[[Operation], float]) -> float:
        """The sum over all operations of their requests a second, times a value of each."""
        return sum(each.per_second * value(each) for each in self.operations.values())

    @property
    def requests(self) -> float:
        return self.total(lambda _: 1)

    @property
    def cores(self) -> float:
        return self.total(lambda operation: operation.cpu_us) / MILLION

    @property
    def reads(self) -> float:
        """The commands a second that read."""
        return self.total(lambda operation: operation.reads)

    @property
    def writes(self) -> float:
        """The commands a second that write."""
        return self.total(lambda operation: operation.writes)

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
        return self.total(lambda operation: operation.bytes + self.given.overhead_bytes)

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


def fleets(given: Inputs) -> list[Fleet]:
    """A fleet in which each player sends heartbeats, and one in which game servers do."""
    by_players = given.players / given.heartbeat_seconds
    return [Fleet(given, by_players), Fleet(given, by_players / given.players_per_session)]


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


def class_for(fleet: Fleet) -> str:
    """The smallest class that suffices for the fleet with pods of one core each."""
    connections = fleet.pods(1) * fleet.given.pool_size
    for instance in CLASSES:
        if instance.vcpus >= fleet.database_cores and instance.active >= connections:
            return instance.name
    return "none"
