"""Writes the tables of results into docs/scaling.md: `make scaling`."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import yaml

from tests.benchmarks.conflicts import table as conflicts
from tests.benchmarks.fleet import CLASSES, MILLION, Fleet, Inputs, class_for, fleets

ROOT = Path(__file__).parents[2]
PAGE, APP = ROOT / "docs" / "scaling.md", ROOT / "apps" / "game-api"
AVOIDABLE = ("I/O of writes", "logs", "web ACL")
"""Costs for each request that other settings avoid."""


def number(value: float) -> str:
    """Three significant digits, because the inputs have no more."""
    if value >= 100:
        value = round(value, 2 - math.floor(math.log10(value)))
        return f"{value:,.0f}"
    return f"{value:.3g}"


ROWS: dict[str, Callable[[Fleet], float]] = {
    "sessions at once": lambda f: f.sessions,
    "requests a second": lambda f: f.requests,
    "of them heartbeats": lambda f: f.heartbeats,
    "of them joins and leaves": lambda f: 2 * f.joins,
    "CPU cores that the service uses": lambda f: f.cores,
    "pods as shipped": lambda f: f.pods(f.given.pod_request_cores),
    "pods, if each requests one core": lambda f: f.pods(1),
    "load balancers for these pods": lambda f: math.ceil(f.pods(1) / f.given.pods_per_balancer),
    "database connections of these pods at most": lambda f: f.pods(1) * f.given.pool_size,
    "database commands a second: reads": lambda f: f.reads,
    "database commands a second: writes": lambda f: f.writes,
    "commands in flight on average": lambda f: f.commands_in_flight,
    "vCPUs of the primary": lambda f: f.database_cores,
    "traffic to clients, Gbit/s": lambda f: f.bytes * 8 / 10**9,
    "logs, TB a day": lambda f: f.log_bytes * 86400 / 10**12,
    "load balancer capacity units": lambda f: f.balancer_units,
}


def example(given: Inputs) -> str:
    """The worked example as a Markdown table."""
    both = fleets(given)
    values = {name: [value(fleet) for fleet in both] for name, value in ROWS.items()}
    for name in both[0].costs:
        values[f"dollars a month: {name}"] = [fleet.costs[name] for fleet in both]
    values["**dollars a month**"] = [sum(fleet.costs.values()) for fleet in both]
    values["of them for I/O, logs and the web ACL"] = [
        sum(fleet.costs[name] for name in AVOIDABLE) for fleet in both
    ]
    lines = ["| | each player sends heartbeats | the game server does |", "|---|---:|---:|"]
    lines += [f"| {name} | {' | '.join(map(number, cells))} |" for name, cells in values.items()]
    return "\n".join(lines)


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


def autoscalers() -> dict[str, tuple[int, int]]:
    """The smallest and the largest number of pods in each environment."""
    found = {}
    for name in ("dev", "staging", "prod"):
        overlay = yaml.safe_load((APP / "overlays" / name / "kustomization.yaml").read_text())
        (patch,) = (
            yaml.safe_load(patch["patch"])
            for patch in overlay["patches"]
            if patch["target"]["kind"] == "HorizontalPodAutoscaler"
        )
        values = {change["path"]: change["value"] for change in patch}
        found[name] = values["/spec/minReplicas"], values["/spec/maxReplicas"]
    return found


def autoscaler(given: Inputs) -> str:
    """The limits of the autoscaler in each environment, as a Markdown table."""
    cores = given.pod_request_cores * given.autoscaler_target
    request = f"{given.autoscaler_target:.0%} of {given.pod_request_cores * 1000:g}m"
    lines = [
        "| | pods at least | at most | target of a pod | cores of all pods at the target |",
        "|---|---:|---:|---|---:|",
    ]
    for name, (low, high) in autoscalers().items():
        target, both = f"{request}: {cores * 1000:g}m", f"{low * cores:.2f} - {high * cores:.2f}"
        lines.append(f"| {name} | {low} | {high} | {target} | {both} |")
    return "\n".join(lines)


def capacity(given: Inputs) -> str:
    """What one pod serves, as shipped and at the most, as a Markdown table."""
    operations = fleets(given)[0].operations
    shipped = given.pod_request_cores * given.autoscaler_target
    lines = [
        f"| | CPU, µs | requests a second at {shipped:g} cores | at {given.autoscaler_target:g} |",
        "|---|---:|---:|---:|",
    ]
    for name, operation in operations.items():
        rates = (cores * MILLION / operation.cpu_us for cores in (shipped, given.autoscaler_target))
        lines.append(f"| {name} | {operation.cpu_us:,.0f} | {' | '.join(map(number, rates))} |")
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
        "autoscaler": autoscaler(given),
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
