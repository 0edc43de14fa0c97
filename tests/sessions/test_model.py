"""The rules of a session, without a database."""

from datetime import datetime
from typing import Any

import pytest

from game_api.access.caller import SYSTEM
from game_api.access.creation import Creation
from game_api.errors import InvalidField
from game_api.sessions.errors import (
    IllegalTransition,
    MemberNotFound,
    NotAMember,
    NotEnoughPlayers,
    SessionFull,
    SessionNotJoinable,
    SessionOver,
    TooManyMembers,
)
from game_api.sessions.model import (
    TRANSITIONS,
    ServerAddress,
    Session,
    SessionSettings,
    SessionUpdate,
)
from game_api.values import LIVE
from tests.build import LATER, NOW, a_session

STATUSES = tuple(TRANSITIONS)


def test_a_new_session_seats_its_host_as_version_1() -> None:
    settings = SessionSettings(name="Friday duel", game_mode="duel", max_players=2)
    session = Session.new(settings, "ada", Creation("s", "birth", NOW))
    assert [member.player_id for member in session.members] == ["ada"]
    assert (session.host_player_id, session.free_slots, session.version) == ("ada", 1, 1)
    assert session.created_at == session.updated_at == session.members[0].joined_at == NOW
    empty = Session.new(settings, None, Creation("t", "birth", NOW))
    assert (empty.host_player_id, empty.free_slots, empty.version) == (None, 2, 1)


def test_a_new_session_refuses_contradictory_settings() -> None:
    settings = SessionSettings(name="s", game_mode="duel", max_players=2, min_players=3)
    with pytest.raises(InvalidField, match="min_players") as refusal:
        Session.new(settings, None, Creation("s", "birth", NOW))
    assert refusal.value.field == "min_players"


def test_a_new_member_is_seated_last() -> None:
    session = a_session("ada")
    assert session.join(["bob"], "red", SYSTEM, LATER)
    assert [m.player_id for m in session.members] == ["ada", "bob"]
    assert session.members[1].team == "red" and session.members[1].joined_at == LATER
    assert (session.free_slots, session.version, session.updated_at) == (2, 2, LATER)


def test_the_first_member_becomes_host() -> None:
    session = a_session()
    session.join(["ada"], None, SYSTEM, NOW)
    assert session.host_player_id == "ada"


def test_joining_twice_changes_nothing() -> None:
    session = a_session("ada")
    assert not session.join(["ada"], "red", SYSTEM, LATER)
    assert session.version == 1 and session.members[0].team is None


def test_a_full_session_refuses_a_join() -> None:
    session = a_session("ada", "bob", max_players=2)
    with pytest.raises(SessionFull):
        session.join(["eve"], None, SYSTEM, LATER)
    assert not session.join(["bob"], None, SYSTEM, LATER)


def test_a_party_is_seated_completely_or_not_at_all() -> None:
    session = a_session("ada", max_players=3)
    with pytest.raises(SessionFull):
        session.join(["bob", "cleo", "dan"], None, SYSTEM, LATER)
    assert session.version == 1 and len(session.members) == 1
    session.join(["ada", "bob", "cleo"], None, SYSTEM, LATER)
    assert [m.player_id for m in session.members] == ["ada", "bob", "cleo"]
    assert session.version == 2 and session.members[0].joined_at == NOW


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("in_progress", [False, True])
def test_a_session_is_joinable_while_waiting_and_if_allowed_while_active(
    status: str, in_progress: bool
) -> None:
    session = a_session("ada", status=status, join_in_progress=in_progress)
    if status == "waiting" or (status == "active" and in_progress):
        assert session.join(["bob"], None, SYSTEM, LATER)
    else:
        with pytest.raises(SessionNotJoinable) as refusal:
            session.join(["bob"], None, SYSTEM, LATER)
        assert refusal.value.extra == {"session_status": status}


def test_a_seated_player_can_join_again_while_the_session_is_live() -> None:
    for status in STATUSES:
        session = a_session("ada", status=status)
        if status in LIVE:
            assert not session.join(["ada"], None, SYSTEM, LATER)
        else:
            with pytest.raises(SessionNotJoinable):
                session.join(["ada"], None, SYSTEM, LATER)


def test_when_the_host_leaves_the_longest_seated_member_becomes_host() -> None:
    session = a_session("ada", "bob", "cleo")
    session.leave("ada", SYSTEM, LATER)
    assert session.host_player_id == "bob"
    session.change({"host_player_id": "cleo"}, SYSTEM, LATER)
    session.leave("bob", SYSTEM, LATER)
    assert session.host_player_id == "cleo"
    session.leave("cleo", SYSTEM, LATER)
    assert session.free_slots == 4 and session.status == "waiting"
    assert session.model_dump_doc()["host_player_id"] is None
    session.join(["dan"], None, SYSTEM, LATER)
    assert session.host_player_id == "dan"


def test_leaving_without_a_seat_or_after_the_end_changes_nothing() -> None:
    session = a_session("ada")
    session.leave("bob", SYSTEM, LATER)
    ended = a_session("ada", status="ended")
    ended.leave("ada", SYSTEM, LATER)
    assert session.version == ended.version == 1 and len(ended.members) == 1


@pytest.mark.parametrize("source", STATUSES)
@pytest.mark.parametrize("target", STATUSES)
def test_a_status_changes_only_as_the_status_machine_allows(source: Any, target: Any) -> None:
    session = a_session("ada", status=source)
    if source == target:
        session.change({"status": target}, SYSTEM, LATER)
        assert session.version == 1
    elif source not in LIVE:
        with pytest.raises(SessionOver):
            session.change({"status": target}, SYSTEM, LATER)
    elif target in TRANSITIONS[source]:
        session.change({"status": target}, SYSTEM, LATER)
        assert session.status == target and session.version == 2
    else:
        with pytest.raises(IllegalTransition) as refusal:
            session.change({"status": target}, SYSTEM, LATER)
        assert refusal.value.extra == {
            "from": source,
            "to": target,
            "allowed": list(TRANSITIONS[source]),
        }


def test_the_status_machine_is_the_documented_one() -> None:
    assert TRANSITIONS == {
        "waiting": ("starting", "cancelled"),
        "starting": ("waiting", "active", "cancelled"),
        "active": ("ended", "cancelled"),
        "ended": (),
        "cancelled": (),
        "expired": (),
    }


def test_times_are_set_on_the_first_start_and_on_any_end() -> None:
    session = a_session("ada", status="starting")
    session.change({"status": "active"}, SYSTEM, NOW)
    assert times(session) == (NOW, None)
    session.change({"status": "ended"}, SYSTEM, LATER)
    assert times(session) == (NOW, LATER)
    cancelled = a_session("ada")
    cancelled.change({"status": "cancelled"}, SYSTEM, LATER)
    assert times(cancelled) == (None, LATER)


def times(session: Session) -> tuple[datetime | None, datetime | None]:
    return session.started_at, session.ended_at


def test_starting_needs_min_players() -> None:
    session = a_session("ada", min_players=2)
    with pytest.raises(NotEnoughPlayers) as refusal:
        session.change({"status": "starting"}, SYSTEM, LATER)
    assert refusal.value.extra == {"player_count": 1, "min_players": 2}
    session.change({"status": "starting", "min_players": 1}, SYSTEM, LATER)
    assert (session.status, session.min_players) == ("starting", 1)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": "x", "status": "ended"}, IllegalTransition),
        ({"name": "x", "max_players": 1}, TooManyMembers),
        ({"name": "x", "min_players": 5}, InvalidField),
        ({"name": "x", "min_players": 3, "max_players": 2}, InvalidField),
        ({"name": "x", "host_player_id": "eve"}, NotAMember),
    ],
)
def test_a_refused_change_changes_nothing(changes: SessionUpdate, error: type[Exception]) -> None:
    session = a_session("ada", "bob")
    before = session.model_dump_doc()
    with pytest.raises(error):
        session.change(changes, SYSTEM, LATER)
    assert session.model_dump_doc() == before


def test_an_ended_session_accepts_only_its_own_status() -> None:
    session = a_session("ada", status="ended")
    refused: list[SessionUpdate] = [
        {"name": "x"},
        {"status": "active"},
        {"status": "ended", "name": "x"},
    ]
    for changes in refused:
        with pytest.raises(SessionOver):
            session.change(changes, SYSTEM, LATER)
    session.change({"status": "ended"}, SYSTEM, LATER)
    assert session.version == 1


def test_setting_the_same_values_is_not_a_new_version() -> None:
    session = a_session("ada", region="eu", attributes={"level": 5})
    session.change(
        {"name": "Friday duel", "region": "eu", "attributes": {"level": 5}, "max_players": 4},
        SYSTEM,
        LATER,
    )
    session.change({}, SYSTEM, LATER)
    assert (session.version, session.updated_at) == (1, NOW)


@pytest.mark.parametrize("new", [True, 1.0])
def test_an_attribute_of_another_json_type_is_a_change(new: Any) -> None:
    session = a_session(attributes={"level": 1})
    session.change({"attributes": {"level": new}}, SYSTEM, LATER)
    assert session.version == 2 and type(session.attributes["level"]) is type(new)


def test_null_clears_region_and_server() -> None:
    session = a_session(region="eu")
    session.change({"server": ServerAddress(address="198.51.100.7", port=7777)}, SYSTEM, LATER)
    session.change({"region": None, "server": None}, SYSTEM, LATER)
    assert (session.region, session.server, session.version) == (None, None, 3)


def test_a_member_changes_its_readiness_and_its_team() -> None:
    session = a_session("ada", "bob")
    session.change_member("bob", {"ready": True, "team": "red"}, SYSTEM, LATER)
    assert session.members[1].ready and session.members[1].team == "red"
    session.change_member("bob", {"ready": True}, SYSTEM, LATER)
    assert session.version == 2
    with pytest.raises(MemberNotFound):
        session.change_member("eve", {"ready": True}, SYSTEM, LATER)
    ended = a_session("ada", status="ended")
    with pytest.raises(SessionOver):
        ended.change_member("ada", {"ready": True}, SYSTEM, LATER)


def test_updated_at_never_goes_back() -> None:
    session = a_session(updated_at=LATER)
    session.change({"name": "x"}, SYSTEM, NOW)
    assert session.updated_at == LATER


def test_max_players_can_shrink_to_the_number_of_members() -> None:
    session = a_session("ada", "bob")
    session.change({"max_players": 2}, SYSTEM, LATER)
    assert session.free_slots == 0
    session.change({"max_players": 5}, SYSTEM, LATER)
    assert session.free_slots == 3
