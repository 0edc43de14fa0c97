"""If-Match and If-None-Match, as RFC 9110 defines them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from game_api.http.preconditions import Tags
from game_api.http.problems import ValidationFailed


@pytest.mark.parametrize(
    ("text", "strongly", "weakly"),
    [
        ('"3"', True, True),
        ("*", True, True),
        (" * ", True, True),
        ('"1", "3"', True, True),
        ('"1","3",', True, True),
        (', ,"3"', True, True),
        ('W/"3"', False, True),
        ('W/"3", "2"', False, True),
        ('"1,3"', False, False),
        ('"2"', False, False),
        ('"03"', False, False),
    ],
)
def test_a_header_matches_the_versions_it_lists(text: str, strongly: bool, weakly: bool) -> None:
    tags = Tags.parse("If-Match", text)
    assert (tags.match_strongly(3), tags.match_weakly(3)) == (strongly, weakly)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\n",
        '"1"\n',
        "3",
        '"3',
        '3"',
        '"3" "4"',
        '*, "3"',
        'w/"3"',
        "W/3",
        '"a b"',
        ",",
        '"\x7f"',
    ],
)
def test_a_malformed_header_is_refused(text: str) -> None:
    with pytest.raises(ValidationFailed):
        Tags.parse("If-Match", text)


@given(st.text())
def test_any_header_is_parsed_or_refused(text: str) -> None:
    try:
        Tags.parse("If-Match", text)
    except ValidationFailed:
        pass


def test_a_malicious_header_is_parsed_in_linear_time() -> None:
    started = time.perf_counter()
    with pytest.raises(ValidationFailed):
        Tags.parse("If-Match", '"1"' + " , " * 20_000 + "x")
    with pytest.raises(ValidationFailed):
        Tags.parse("If-Match", '"1"' + " " * 60_000 + "x")
    assert time.perf_counter() - started < 5, "parsing a long header takes more than linear time"
