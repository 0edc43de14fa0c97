"""The calculations and the simulation of docs/scaling.md."""

from dataclasses import replace

import pytest
import yaml

from game_api.database.client import OPTIONS
from tests.benchmarks.conflicts import Session, poisson, simulate, table
from tests.benchmarks.fleet import CLASSES, Inputs, class_for, fleets
from tests.benchmarks.scaling import APP, PAGE, example, number, with_results, with_section

LATENCY = (0.002, 0.005)


def test_one_pod_has_no_conflicts() -> None:
    stream = simulate(Session(), 1, poisson(200, 10), LATENCY)
    assert (stream.conflicts, stream.expired) == (0, 0)
    assert len(stream.waited) == len(poisson(200, 10))


def test_a_crowd_at_one_pod_takes_three_commands() -> None:
    crowd = simulate(Session(64), 1, [0.0] * 1000, LATENCY)
    assert (crowd.commands, crowd.seats, crowd.revision) == (3, 0, 1)


@pytest.mark.parametrize("pods", [2, 8, 64])
def test_every_seat_is_taken_once_and_everybody_is_answered(pods: int) -> None:
    crowd = simulate(Session(64), pods, [0.0] * 1000, LATENCY)
    assert (crowd.seats, len(crowd.waited), crowd.expired) == (0, 1000, 0)
    assert 0 < crowd.conflicts


def test_conflicts_grow_with_the_pods_and_with_the_changes() -> None:
    rates = [
        [simulate(Session(), pods, poisson(rate, 20), LATENCY).conflict_rate for rate in (10, 200)]
        for pods in (2, 16)
    ]
    assert rates[0][0] < rates[0][1] < rates[1][1] and rates[0][0] < rates[1][0]


def test_changes_expire_when_the_database_is_too_slow_for_their_number() -> None:
    stream = simulate(Session(), 32, poisson(200, 20), (0.2, 0.3))
    assert stream.expired > 0
    assert max(stream.waited) < 10


def test_the_simulation_is_the_same_each_time() -> None:
    assert table(LATENCY, [50]) == table(LATENCY, [50])


@pytest.fixture
def given() -> Inputs:
    return Inputs.of(PAGE.read_text())


def test_the_documented_results_are_current() -> None:
    page = PAGE.read_text()
    assert page == with_results(page), "run `make scaling`"


def test_the_inputs_are_those_of_the_manifests_and_of_the_driver(given: Inputs) -> None:
    base = APP / "base"
    deployment = yaml.safe_load((base / "deployment.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"]["cpu"] == f"{given.pod_request_cores * 1000:g}m"
    autoscaler = yaml.safe_load((base / "horizontal-pod-autoscaler.yaml").read_text())
    (metric,) = autoscaler["spec"]["metrics"]
    assert metric["resource"]["target"]["averageUtilization"] == given.autoscaler_target * 100
    assert OPTIONS["maxPoolSize"] == given.pool_size


def test_a_fleet_is_worked_out_from_the_inputs(given: Inputs) -> None:
    """1,200 players in 150 sessions of 20 minutes: one of them joins each second."""
    known = {"players": 1200, "players_per_session": 8, "session_minutes": 20}
    known |= {"heartbeat_seconds": 10, "reads_per_minute": 1, "lists_per_join": 2}
    by_players, by_servers = fleets(replace(given, **known))
    assert (by_players.sessions, by_players.joins) == (150, 1)
    assert (by_players.heartbeats, by_servers.heartbeats) == (120, 15)
    # Heartbeats, reads, lists, creations, joins and leaves, changes of status.
    assert by_players.requests == pytest.approx(120 + 20 + 2 + 1 / 8 + 2 + 3 / 8)
    assert by_players.reads == pytest.approx(120 + 20 + 2 + 2 + 3 / 8)
    assert by_players.writes == pytest.approx(120 + 1 / 8 + 4 + 3 / 8)


def test_costs_and_needs_grow_with_the_players(given: Inputs) -> None:
    small, large = (fleets(replace(given, players=players))[0] for players in (10**4, 10**6))
    assert large.cores == pytest.approx(100 * small.cores)
    assert large.pods(1) < large.pods(0.25)
    assert all(large.costs[name] >= cost for name, cost in small.costs.items())


def test_the_class_suffices_for_the_cpu_and_for_the_connections(given: Inputs) -> None:
    fleet, _ = fleets(replace(given, players=1000))
    assert class_for(fleet) == CLASSES[0].name
    busy, _ = fleets(replace(given, players=1000, pool_size=200))
    assert class_for(busy) == CLASSES[1].name
    slow, _ = fleets(replace(given, players=1000, database_read_us=10**6))
    assert class_for(slow) == "none"


def test_another_input_changes_the_example(given: Inputs) -> None:
    assert example(given) != example(replace(given, heartbeat_cpu_us=given.heartbeat_cpu_us * 2))


@pytest.mark.parametrize("change", ["renamed", "removed"])
def test_inputs_have_to_be_complete(change: str) -> None:
    page = PAGE.read_text().replace("| `players` |", "| `gamers` |" if change == "renamed" else "|")
    with pytest.raises(ValueError, match="players"):
        Inputs.of(page)


def test_a_page_without_both_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no section"):
        with_section("<!-- /sizes -->\n<!-- sizes -->", "sizes", "")


@pytest.mark.parametrize(
    ("value", "text"), [(0.03744, "0.0374"), (7, "7"), (99.51, "99.5"), (136_542, "137,000")]
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text
