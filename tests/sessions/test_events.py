"""The events that each rule of a session returns."""

import pytest

from game_api.access.caller import SYSTEM
from game_api.sessions.events import Event
from game_api.sessions.model import Events, Session, SessionUpdate
from tests.build import LATER, a_session


def a_ready_session(*player_ids: str, **fields: object) -> Session:
    """A session at version 1 whose members are ready."""
    session = a_session(*player_ids, **fields)
    session.members = tuple(m.model_copy(update={"ready": True}) for m in session.members)
    return session


def test_a_join_tells_who_has_joined_and_in_which_team() -> None:
    session = a_session()
    assert session.join(["ada", "bob"], "red", SYSTEM, LATER) == (
        Event("joined", ("ada", "bob"), team="red"),
        Event("host_changed", old=None, new="ada"),
    )
    assert session.join(["ada", "cleo"], None, SYSTEM, LATER) == (Event("joined", ("cleo",)),)
    assert session.join(["ada"], "blue", SYSTEM, LATER) == ()


def test_a_leave_tells_who_has_left_and_who_is_the_host_now() -> None:
    session = a_session("ada", "bob")
    assert session.leave("eve", SYSTEM, LATER) == ()
    assert session.leave("ada", SYSTEM, LATER) == (
        Event("left", ("ada",)),
        Event("host_changed", old="ada", new="bob"),
    )
    assert session.leave("bob", SYSTEM, LATER) == (
        Event("left", ("bob",)),
        Event("host_changed", old="bob", new=None),
    )
    assert a_session("ada", status="ended").leave("ada", SYSTEM, LATER) == ()


def test_a_change_of_a_member_names_the_fields_that_have_changed() -> None:
    session = a_session("ada")
    changed = session.change_member("ada", {"ready": True, "team": "red"}, SYSTEM, LATER)
    assert changed == (Event("member_changed", ("ada",), ("ready", "team")),)
    changed = session.change_member("ada", {"ready": True, "team": "blue"}, SYSTEM, LATER)
    assert changed == (Event("member_changed", ("ada",), ("team",)),)
    assert session.change_member("ada", {"ready": True}, SYSTEM, LATER) == ()


@pytest.mark.parametrize(
    ("changes", "events"),
    [
        ({}, ()),
        ({"name": "Friday duel", "status": "waiting", "host_player_id": "ada"}, ()),
        (
            {"region": "eu", "name": "x", "max_players": 4},
            (Event("settings_changed", fields=("region", "name")),),
        ),
        ({"host_player_id": "bob"}, (Event("host_changed", old="ada", new="bob"),)),
        ({"status": "starting"}, (Event("status_changed", old="waiting", new="starting"),)),
        (
            {"status": "cancelled", "host_player_id": "bob", "server": None, "name": "x"},
            (
                Event("settings_changed", fields=("name",)),
                Event("host_changed", old="ada", new="bob"),
                Event("status_changed", old="waiting", new="cancelled"),
            ),
        ),
    ],
)
def test_a_change_tells_what_has_changed_in_one_version(
    changes: SessionUpdate, events: Events
) -> None:
    session = a_session("ada", "bob")
    assert session.change(changes, SYSTEM, LATER) == events
    assert session.version == (2 if events else 1)


def test_a_session_that_goes_back_to_waiting_tells_who_is_no_longer_ready() -> None:
    back = Event("status_changed", old="starting", new="waiting")
    session = a_ready_session("ada", "bob", "cleo", status="starting", min_players=3)
    session.change_member("bob", {"ready": False}, SYSTEM, LATER)
    assert session.leave("ada", SYSTEM, LATER) == (
        Event("left", ("ada",)),
        Event("host_changed", old="ada", new="bob"),
        back,
        Event("member_changed", ("cleo",), ("ready",)),
    )
    session = a_ready_session("ada", "bob", status="starting")
    assert session.change({"min_players": 3}, SYSTEM, LATER) == (
        Event("settings_changed", fields=("min_players",)),
        back,
        Event("member_changed", ("ada", "bob"), ("ready",)),
    )
    session = a_session("ada", status="starting")
    assert session.change({"status": "waiting"}, SYSTEM, LATER) == (back,)


def test_touch_asks_for_a_write_without_a_new_version() -> None:
    session = a_session("ada")
    before = session.model_dump_doc()
    session.touch()
    assert session.model_dump_doc() == before | {"revision": before["revision"] + 1}
