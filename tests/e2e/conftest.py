"""Fixtures for the cluster and the client traffic, which all tests share, and the report."""

import time
from collections.abc import Callable, Generator, Iterator

import httpx2
import pytest

from tests.e2e import network
from tests.e2e.argocd import wait_until_synced
from tests.e2e.cluster import Cluster, running_cluster, set_ingress_address
from tests.e2e.paths import REPORT
from tests.e2e.processes import print_progress
from tests.e2e.report import Report, Row
from tests.e2e.traffic import Traffic

REPORT_KEY = pytest.StashKey[Report]()
Measure = Callable[[str], None]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT_KEY] = Report()


@pytest.fixture(scope="session")
def bootstrapped() -> Iterator[tuple[Cluster, float]]:
    """The cluster right after the root Application was applied, and the time of that moment."""
    network.enter()
    with running_cluster() as cluster:
        yield cluster, time.monotonic()


@pytest.fixture(scope="session")
def first_sync_seconds(bootstrapped: tuple[Cluster, float]) -> float:
    """Seconds from the root Application until all Applications are Synced and Healthy."""
    cluster, started = bootstrapped
    set_ingress_address()
    cluster.wait_for_rollout("current", 180)
    wait_until_synced("root", cluster.application)
    return time.monotonic() - started


@pytest.fixture(scope="session")
def cluster(bootstrapped: tuple[Cluster, float], first_sync_seconds: float) -> Cluster:
    """The cluster with the service deployed and ready."""
    return bootstrapped[0]


@pytest.fixture(scope="session")
def traffic(cluster: Cluster) -> Iterator[Traffic]:
    """Client traffic, from the first test that requests it until the end of the run."""
    with Traffic(cluster.address, cluster.tokens) as traffic:
        yield traffic


@pytest.fixture
def http(cluster: Cluster) -> Iterator[httpx2.Client]:
    """An administrator's HTTP client that reaches the pods through the Kubernetes Service."""
    with cluster.client() as client:
        yield client


@pytest.fixture
def measure(record_property: Callable[[str, object], None]) -> Measure:
    """Add a measurement to the report: `measure("commit to pods: 12 s")`."""

    def add(measurement: str) -> None:
        print_progress(f"  {measurement}")
        record_property("measured", measurement)

    return add


def pytest_runtest_protocol(item: pytest.Item) -> None:
    print_progress(description(item))


def description(item: pytest.Item) -> str:
    """The first line of a test's docstring."""
    assert isinstance(item, pytest.Function)
    return (item.function.__doc__ or item.name).splitlines()[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    outcome = yield
    if outcome.when == "call" or outcome.failed:
        measurements = [str(value) for name, value in outcome.user_properties if name == "measured"]
        item.config.stash[REPORT_KEY].rows.append(
            Row(description(item), outcome.outcome, measurements, outcome.duration)
        )
    return outcome


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    report = terminalreporter.config.stash[REPORT_KEY]
    if report.rows:
        report.write()
        terminalreporter.section("report")
        terminalreporter.write(report.markdown())
        terminalreporter.write_line(f"\nwritten to {REPORT}")
