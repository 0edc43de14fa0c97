"""What the benchmark of the hot session finds wrong."""

from collections import Counter
from collections.abc import Sequence

import pytest

from tests.benchmarks.hot import CROWD, FULL, SEATED, SEATS, Held, Round
from tests.benchmarks.measure import Result

RIGHT = [SEATED] * SEATS + [FULL] * (len(CROWD) - SEATS)
MEMBERS = CROWD[:SEATS]


def mistakes(
    answers: Sequence[str] = RIGHT,
    members: Sequence[str] = MEMBERS,
    free_slots: int = 0,
    claimed: Sequence[str] = MEMBERS,
) -> dict[str, int]:
    result = Result(1, [1], 0, {}, answers)
    return Round(result, 1, Counter(), Held(members, free_slots, frozenset(claimed))).mistakes(True)


def test_nothing_is_wrong_if_the_answers_are_what_the_database_holds() -> None:
    assert mistakes() == {}


def test_a_claim_without_a_seat_is_not_wrong() -> None:
    assert mistakes(claimed=CROWD) == {}


def test_503_says_nothing_about_the_seat() -> None:
    unknown = "503 database_unavailable"
    assert mistakes(answers=[unknown] * 2 + RIGHT[2:]) == {}
    assert mistakes(answers=RIGHT[:-1] + [unknown]) == {}


@pytest.mark.parametrize(
    ("held", "wrong"),
    [
        ({"members": CROWD[: SEATS + 1], "free_slots": -1}, "seats too many"),
        ({"members": [CROWD[0], *MEMBERS[:-1]]}, "seats of players who have another one"),
        ({"members": MEMBERS[:-1], "free_slots": 1}, "told seated, and without a seat"),
        ({"members": [*MEMBERS[:-1], CROWD[-1]]}, "told refused, and seated"),
        ({"claimed": MEMBERS[:-1]}, "seated without a claim"),
        ({"free_slots": 1}, "free_slots wrong"),
    ],
)
def test_a_difference_is_wrong(held: dict[str, Sequence[str]], wrong: str) -> None:
    assert mistakes(**held)[wrong] == 1  # type: ignore[arg-type]
