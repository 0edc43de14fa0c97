"""The filters of the session list."""

from game_api.sessions.filters import SessionFilter, interpretations


def test_a_text_matches_every_value_that_is_written_like_it() -> None:
    assert interpretations("5") == ["5", 5]
    assert interpretations("-5.50e1") == ["-5.50e1", -55.0]
    assert interpretations("true") == ["true", True]
    assert interpretations(str(2**63)) == [str(2**63), float(2**63)]
    for text in ("", " 5", "05", "5.", "1e999", "NaN", "Infinity", "0x5", "\u0665"):
        assert interpretations(text) == [text]


def test_a_filter_never_lists_private_sessions() -> None:
    assert SessionFilter().query() == {
        "visibility": "public",
        "status": {"$in": ["active", "starting", "waiting"]},
    }
