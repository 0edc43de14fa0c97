"""The calculations and the simulation of docs/scaling.md."""

import pytest

from tests.benchmarks.conflicts import Session, poisson, simulate, table

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
