"""Every interleaving of two or three writers, with crashes and lost responses, is right.

`python -m tests.model` explores more faults, and prints a table.
"""

import sys
from collections.abc import Callable, Iterator

import pytest
from _pytest.capture import CaptureManager

from tests.model.explorer import Report, explore
from tests.model.runs import quick
from tests.model.scenarios import Scenario
from tests.model.system import Bounds

RUNS = list(quick())


@pytest.fixture(scope="module")
def count(request: pytest.FixtureRequest) -> Iterator[Callable[[Report], None]]:
    """Adds up the sizes of the explorations, and prints them at the end."""
    reports: list[Report] = []
    yield reports.append
    states = sum(report.states for report in reports)
    transitions = sum(report.transitions for report in reports)
    seconds = sum(report.seconds for report in reports)
    capture = request.config.pluginmanager.getplugin("capturemanager")
    assert isinstance(capture, CaptureManager)
    with capture.global_and_fixture_disabled():
        print(
            f"\nmodel check: {len(reports)} scenarios, {states:,} states, "
            f"{transitions:,} transitions, {seconds:.0f} s",
            file=sys.stderr,
        )


@pytest.mark.parametrize(("scenario", "bounds"), RUNS, ids=[run[0].name for run in RUNS])
def test_no_interleaving_breaks_a_promise(
    scenario: Scenario, bounds: Bounds, count: Callable[[Report], None]
) -> None:
    report = explore(scenario, bounds)
    count(report)
    assert report.violation is None, str(report)
    assert report.ends
