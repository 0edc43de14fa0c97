"""No pinned thing is used after its support has ended, and the dates are where they belong.

docs/end_of_support.yaml holds them.
"""

import re
import warnings
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, HttpUrl, model_validator

ROOT = Path(__file__).parent.parent
FAIL_DAYS, WARN_DAYS = 60, 120


class Pinned(BaseModel):
    """A pinned thing."""

    model_config = ConfigDict(extra="forbid")

    name: str
    version: str
    until: date
    source: HttpUrl
    places: dict[str, str]
    published: bool = True
    accepted_until: date | None = None
    reason: str | None = None

    @model_validator(mode="after")
    def an_exception_has_a_reason(self) -> "Pinned":
        assert (self.accepted_until is None) == (self.reason is None), self.name
        return self

    def days_left(self, today: date) -> int:
        """The days until a test fails for it, and some more."""
        if self.accepted_until:
            return (self.accepted_until - today).days + FAIL_DAYS
        return (self.until - today).days

    def check(self, today: date) -> None:
        """Fail from 60 days before the end. From 120 days before it, warn.

        An accepted exception fails after its last day.
        """
        what = "support ends" if self.published else "somebody has to look for an end of support"
        message = f"{self.name} {self.version}: {what} on {self.until} ({self.source})"
        left = self.days_left(today)
        if left < FAIL_DAYS or (left == FAIL_DAYS and not self.accepted_until):
            pytest.fail(f"{message}; docs/operations.md says how to move it")
        if left <= WARN_DAYS:
            warnings.warn(message, stacklevel=2)


def load(file: Path) -> list[Pinned]:
    return [Pinned.model_validate(entry) for entry in yaml.safe_load(file.read_text())]


PINNED = load(ROOT / "docs/end_of_support.yaml")
PLACES = [(pinned, file) for pinned in PINNED for file in pinned.places]


@pytest.mark.parametrize("pinned", PINNED, ids=lambda pinned: pinned.name)
def test_it_is_supported(pinned: Pinned) -> None:
    pinned.check(date.today())


@pytest.mark.parametrize(("pinned", "file"), PLACES, ids=[f"{p.name} in {f}" for p, f in PLACES])
def test_each_place_pins_this_version(pinned: Pinned, file: str) -> None:
    text = (ROOT / file).read_text()
    assert set(re.findall(pinned.places[file], text, re.MULTILINE)) == {pinned.version}


@pytest.mark.parametrize("pinned", PINNED, ids=lambda pinned: pinned.name)
def test_the_page_has_its_date_and_how_to_move_it(pinned: Pinned) -> None:
    page = (ROOT / "docs/operations.md").read_text()
    row = rf"^\| \[{re.escape(pinned.name)}\]\(#[\w-]+\) \| {re.escape(pinned.version)} \| (.+) \|$"
    (rest,) = re.findall(row, page, re.MULTILINE)
    assert str(pinned.until) in rest
    assert ("no end is published" in rest) == (not pinned.published)
    assert pinned.accepted_until is None or str(pinned.accepted_until) in rest
    assert re.search(rf"^### {re.escape(pinned.name)}$", page, re.MULTILINE)


def pinned(**values: object) -> Pinned:
    return Pinned.model_validate(
        {
            "name": "x",
            "version": "1",
            "until": "2027-01-01",
            "source": "https://x.example",
            "places": {},
        }
        | values
    )


END = date(2027, 1, 1)


def test_long_before_the_end_nothing_happens() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pinned().check(END - timedelta(days=121))


@pytest.mark.parametrize("days", [120, 61])
def test_from_120_days_before_the_end_there_is_a_warning(days: int) -> None:
    with pytest.warns(UserWarning, match="support ends on 2027-01-01"):
        pinned().check(END - timedelta(days=days))


@pytest.mark.parametrize("days", [60, 0, -1])
def test_from_60_days_before_the_end_it_fails(days: int) -> None:
    with pytest.raises(pytest.fail.Exception, match="docs/operations.md"):
        pinned().check(END - timedelta(days=days))


def test_an_exception_is_accepted_until_its_last_day() -> None:
    accepted = date(2027, 3, 1)
    exception = pinned(accepted_until=accepted, reason="because")
    with pytest.warns(UserWarning):
        exception.check(accepted)
    with pytest.raises(pytest.fail.Exception):
        exception.check(accepted + timedelta(days=1))


def test_an_exception_needs_a_reason() -> None:
    with pytest.raises(ValueError):
        pinned(accepted_until=END)
