"""The cluster that all tests act on, the players that use it all the time, and the report."""

import time
from collections.abc import Callable, Generator, Iterator

import httpx2
import pytest

from tests.e2e import network
from tests.e2e.argocd import wait_until_synced
from tests.e2e.cluster import Cluster, answer_for_the_load_balancer, cluster
from tests.e2e.paths import REPORT
from tests.e2e.processes import say
from tests.e2e.report import Report, Row
from tests.e2e.traffic import Traffic

REPORTED = pytest.StashKey[Report]()
Measure = Callable[[str], None]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORTED] = Report()


@pytest.fixture(scope="session")
def bootstrapped() -> Iterator[tuple[Cluster, float]]:
    """The cluster when Argo CD has just got its root Application, and when that was."""
    network.enter()
    with cluster() as playing:
        yield playing, time.monotonic()


@pytest.fixture(scope="session")
def first_sync(bootstrapped: tuple[Cluster, float]) -> float:
    """The seconds from the root Application to everything Synced and Healthy."""
    playing, began = bootstrapped
    answer_for_the_load_balancer()
    playing.wait_until_all_are("current", 180)
    wait_until_synced("root", playing.application)
    return time.monotonic() - began


@pytest.fixture(scope="session")
def game(bootstrapped: tuple[Cluster, float], first_sync: float) -> Cluster:
    """The cluster, with the service up."""
    return bootstrapped[0]


@pytest.fixture(scope="session")
def traffic(game: Cluster) -> Iterator[Traffic]:
    """Players, from the first test that wants some until the end."""
    with Traffic(game.address) as playing:
        yield playing


@pytest.fixture
def http(game: Cluster) -> Iterator[httpx2.Client]:
    """A client of the service, through its Service."""
    with httpx2.Client(base_url=game.address, timeout=10) as client:
        yield client


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measure:
    """Puts something into the report: `measured("commit to pods: 12 s")`."""

    def measure(what: str) -> None:
        say(f"  {what}")
        record_property("measured", what)

    return measure


def pytest_runtest_protocol(item: pytest.Item) -> None:
    say(shown(item))


def shown(item: pytest.Item) -> str:
    """The first line of a test's docstring."""
    assert isinstance(item, pytest.Function)
    return (item.function.__doc__ or item.name).splitlines()[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    outcome = yield
    if outcome.when == "call" or outcome.failed:
        measured = [str(value) for name, value in outcome.user_properties if name == "measured"]
        item.config.stash[REPORTED].rows.append(
            Row(shown(item), outcome.outcome, measured, outcome.duration)
        )
    return outcome


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    report = terminalreporter.config.stash[REPORTED]
    if report.rows:
        report.write()
        terminalreporter.section("report")
        terminalreporter.write(report.markdown())
        terminalreporter.write_line(f"\nwritten to {REPORT}")
