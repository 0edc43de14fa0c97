"""Text that people see: the accepted and the refused values, and the pattern in the JSON schema."""

import re
import unicodedata
from typing import Annotated, Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from game_api.values import VISIBLE_TEXT, VisibleText

Api = httpx2.AsyncClient

ACCEPTED = {
    "a letter": "a",
    "white space inside": "Ada L.",
    "a no-break space inside": "a\u00a0b",
    "punctuation": "-_-",
    "a precomposed accent": "\u00c9milie",
    "a combining accent inside": "E\u0301milie",
    "a combining accent at the end": "Cafe\u0301",
    "Chinese": "\u5f3a",
    "Arabic": "\u0644\u064a\u0644\u0649",
    "Persian with a non-joiner inside": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "Hindi that ends with a vowel sign": "\u0930\u093e\u0927\u093e",
    "Thai that ends with a tone mark": "\u0e44\u0e21\u0e49",
    "Mongolian that ends with a variation selector": "\u182c\u180b",
    "an emoji": "\U0001f3b2",
    "a family with joiners inside": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "a skin tone at the end": "\U0001f44d\U0001f3fd",
    "a variation selector at the end": "\u2764\ufe0f",
    "a keycap": "1\ufe0f\u20e3",
    "a flag of two letters": "\U0001f1eb\U0001f1f7",
    "a flag with tags": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
}

REFUSED = {
    "nothing": "",
    "a space": " ",
    "a space at the start": " a",
    "a space at the end": "a ",
    "a no-break space at the start": "\u00a0a",
    "an ideographic space at the end": "a\u3000",
    "a space before a variation selector": "a \ufe0f",
    "a joiner before a tag": "a\u200d\U000e0067",
    "a zero width space": "\u200b",
    "a zero width space at the end": "a\u200b",
    "a byte order mark": "\ufeffa",
    "a word joiner": "a\u2060",
    "a soft hyphen": "\u00ada",
    "a joiner at the end": "a\u200d",
    "a non-joiner at the start": "\u200ca",
    "a Hangul filler": "\u3164",
    "a halfwidth Hangul filler": "\uffa0",
    "Hangul fillers": "\u115f\u1160",
    "a Braille blank": "\u2800",
    "a combining grapheme joiner": "a\u034f",
    "only a combining mark": "\u0301",
    "only a variation selector": "\ufe0f",
    "only a tag": "\U000e0067",
    "a line break inside": "a\nb",
    "a line break at the end": "a\n",
    "a tab": "a\tb",
    "NUL": "a\x00b",
    "DEL": "a\x7fb",
    "NEL": "a\x85b",
    "a line separator": "a\u2028b",
    "a paragraph separator": "a\u2029b",
    "an Arabic letter mark": "a\u061cb",
    "a left-to-right mark": "a\u200eb",
    "a right-to-left override": "a\u202eb",
    "a right-to-left embedding": "a\u202bb",
    "an isolate": "a\u2066b",
    "a pop of an isolate": "a\u2069b",
}

SURROGATES = ("\ud800", "a\ud800b", "\udfff", "\ud83d\ude00")

adapter: TypeAdapter[str] = TypeAdapter(Annotated[str, VisibleText])


def accepted(text: str) -> bool:
    try:
        return adapter.validate_python(text) == text
    except ValidationError as error:
        assert [mistake["type"] for mistake in error.errors()] == ["visible_text"]
        return False


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_visible_text_is_accepted(text: str) -> None:
    assert accepted(text)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_text_that_is_not_visible_or_disturbs_other_text_is_refused(text: str) -> None:
    assert not accepted(text)


@pytest.mark.parametrize("text", SURROGATES, ids=ascii)
def test_surrogates_are_refused(text: str) -> None:
    assert not accepted(text)


characters = st.one_of(
    st.characters(codec="utf-8"),
    st.sampled_from(sorted(set("".join([*ACCEPTED.values(), *REFUSED.values()])))),
)


@given(st.text(characters, min_size=1, max_size=6).filter(accepted))
def test_accepted_text_is_stripped_and_has_no_control_characters(text: str) -> None:
    assert text == text.strip()
    assert not {unicodedata.category(c) for c in text} & {"Cc", "Cs", "Zl", "Zp"}
    assert unicodedata.category(text[0]) != "Zs"
    assert not re.search("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)


@given(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{2,31}\Z"))
def test_every_username_can_be_a_display_name(username: str) -> None:
    assert accepted(username)


@pytest.fixture
async def member(api: Api) -> str:
    """The path of the only member of a session."""
    player = {"username": "ada", "player_id": "ada"}
    assert (await api.post("/api/v1/players", json=player)).status_code == 201
    session = {"name": "s", "game_mode": "duel", "max_players": 2, "host_player_id": "ada"}
    location = (await api.post("/api/v1/sessions", json=session)).headers["Location"]
    return f"{location}/players/ada"


@pytest.mark.parametrize("text", ["red ", "\u200b", "a\nb", "\u202egreen", "\u3164"], ids=ascii)
async def test_every_field_that_people_see_is_checked(api: Api, member: str, text: str) -> None:
    session = member.partition("/players/")[0]
    requests: list[tuple[str, str, dict[str, Any], str]] = [
        ("POST", "/api/v1/players", {"username": "bob"}, "display_name"),
        ("PUT", "/api/v1/players/ada", {}, "display_name"),
        ("POST", "/api/v1/sessions", {"game_mode": "duel", "max_players": 2}, "name"),
        ("PUT", session, {}, "name"),
        ("PUT", f"{session}/players/bob", {}, "team"),
        ("PATCH", member, {}, "team"),
    ]
    for method, path, body, field in requests:
        response = await api.request(method, path, json=body | {field: text})
        assert response.status_code == 422, (method, path)
        (mistake,) = response.json()["errors"]
        assert (mistake["loc"], mistake["type"]) == (["body", field], "visible_text")


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
async def test_visible_text_is_returned_unchanged(api: Api, member: str, text: str) -> None:
    session = member.partition("/players/")[0]
    player = await api.put("/api/v1/players/ada", json={"display_name": text})
    assert player.json()["display_name"] == text
    assert (await api.put(session, json={"name": text})).json()["name"] == text
    response = await api.patch(member, json={"team": text})
    assert response.json()["members"][0]["team"] == text


async def test_a_surrogate_in_a_name_is_a_validation_error(api: Api) -> None:
    response = await api.post(
        "/api/v1/players",
        content=b'{"username": "bob", "display_name": "\\ud800"}',
        headers={"Content-Type": "application/json"},
    )
    assert (response.status_code, response.json()["code"]) == (422, "validation_error")


async def test_every_field_that_people_see_shows_the_format(api: Api) -> None:
    schemas = (await api.get("/openapi.json")).json()["components"]["schemas"]
    for name, field, max_length in (
        ("PlayerCreate", "display_name", 64),
        ("PlayerUpdate", "display_name", 64),
        ("SessionCreate", "name", 64),
        ("SessionUpdate", "name", 64),
        ("SessionJoin", "team", 32),
        ("MemberUpdate", "team", 32),
    ):
        shown = schemas[name]["properties"][field]
        assert shown["format"] == VISIBLE_TEXT["format"]
        assert (shown["minLength"], shown["maxLength"]) == (1, max_length)
