"""The checker: it accepts correct histories, and detects each kind of mistake."""

from pathlib import Path

import pytest

from tests.chaos import corruptions_access, corruptions_elsewhere
from tests.chaos.checker import PROPERTIES, check
from tests.chaos.corruptions import (
    CORRUPTIONS,
    Corruptible,
    Corruption,
    a_seat_is_lost_without_a_request,
)
from tests.chaos.history import History
from tests.chaos.simulation import Simulation
from tests.chaos.timeline import unmatched

assert corruptions_access and corruptions_elsewhere  # They register their corruptions.


@pytest.fixture(scope="module")
def undisturbed() -> History:
    return Simulation(1, lost=0).run(1000)


@pytest.fixture(scope="module")
def disturbed() -> History:
    """A history in which answers were lost, so that less is certain."""
    return Simulation(2, lost=0.05).run(1000)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("lost", [0.0, 0.05, 0.3])
def test_a_correct_history_is_accepted(seed: int, lost: float) -> None:
    history = Simulation(seed, lost).run(500)
    outcomes = {operation.outcome for operation in history.operations}
    assert outcomes == ({"done", "refused", "unknown"} if lost else {"done", "refused"})
    assert check(history) == []


@pytest.mark.parametrize(
    ("property_", "corruption"), CORRUPTIONS, ids=[c.__name__ for _, c in CORRUPTIONS]
)
def test_a_mistake_is_detected(
    undisturbed: History, property_: str, corruption: Corruption
) -> None:
    corrupted = Corruptible(undisturbed)
    corruption(corrupted)
    assert property_ in {violation.property for violation in check(corrupted.history)}


CERTAIN = [
    (property_, corruption)
    for property_, corruption in CORRUPTIONS
    if property_ != "nothing is left behind" and corruption is not a_seat_is_lost_without_a_request
]
"""What no lost request can have caused."""


@pytest.mark.parametrize(("property_", "corruption"), CERTAIN, ids=[c.__name__ for _, c in CERTAIN])
def test_a_mistake_is_detected_though_answers_were_lost(
    disturbed: History, property_: str, corruption: Corruption
) -> None:
    corrupted = Corruptible(disturbed)
    corruption(corrupted)
    assert property_ in {violation.property for violation in check(corrupted.history)}


def test_each_property_has_a_mistake_that_violates_it() -> None:
    assert {property_ for property_, _ in CORRUPTIONS} == set(PROPERTIES)


def test_leftovers_are_no_mistake_when_a_process_was_killed(undisturbed: History) -> None:
    corrupted = Corruptible(undisturbed)
    corrupted.history.disturbed = True
    corruptions_elsewhere.there_is_a_tombstone(corrupted)
    corruptions_elsewhere.a_claim_has_another_token_than_its_seat(corrupted)
    assert check(corrupted.history) == []


def test_a_lost_answer_is_no_mistake_while_the_process_is_stopped(undisturbed: History) -> None:
    corrupted = Corruptible(undisturbed)
    operation = corrupted.find("get session", 200)
    operation.status, operation.end = None, float("inf")
    corrupted.history.stops.append((operation.process, operation.start, operation.over))
    assert check(corrupted.history) == []


def test_a_lost_change_may_have_been_made_or_not(undisturbed: History) -> None:
    corrupted = Corruptible(undisturbed)
    operation = corrupted.find("update session", 200)
    operation.status, operation.end, operation.answer = 503, float("inf"), {}
    assert check(corrupted.history) == []


def test_as_many_items_as_possible_are_matched() -> None:
    fits = {1: "ab", 2: "a", 3: "bc", 4: "c"}
    assert len(unmatched([1, 2, 3, 4], ["a", "b", "c"], lambda n, c: c in fits[n])) == 1
    assert unmatched([1, 2, 3], ["a", "b", "c"], lambda n, c: c in fits[n]) == []


def test_a_history_is_saved_as_json_lines(undisturbed: History, tmp_path: Path) -> None:
    undisturbed.save(tmp_path / "history.jsonl")
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert len(lines) == len(undisturbed.operations) + 1
