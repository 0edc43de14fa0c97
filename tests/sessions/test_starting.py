"""The start of a session: the players that it needs, and how it goes back to `waiting`."""

from datetime import timedelta

import httpx2
import pytest

from game_api.access.caller import SYSTEM
from game_api.sessions.errors import NotEnoughPlayers
from game_api.sessions.model import Session, SessionUpdate
from tests.build import LATER, NOW, a_session

Api = httpx2.AsyncClient
LATEST = LATER + timedelta(minutes=5)


def a_ready_session(*player_ids: str, **fields: object) -> Session:
    """A session at version 1 that is `starting` and whose members are ready."""
    session = a_session(*player_ids, **{"status": "starting", **fields})
    session.members = tuple(m.model_copy(update={"ready": True}) for m in session.members)
    return session


def ready(session: Session) -> list[str]:
    return [member.player_id for member in session.members if member.ready]


@pytest.mark.parametrize("start", ["starting", "active"])
def test_each_step_of_the_start_needs_min_players(start: str) -> None:
    changes: SessionUpdate = {"status": "starting" if start == "starting" else "active"}
    session = a_session("ada", status="waiting" if start == "starting" else "starting")
    session.min_players = 2
    before = session.model_dump_doc()
    with pytest.raises(NotEnoughPlayers) as refusal:
        session.change(changes, SYSTEM, LATER)
    assert refusal.value.extra == {"player_count": 1, "min_players": 2}
    assert session.model_dump_doc() == before


@pytest.mark.parametrize("status", ["starting", "active"])
def test_a_change_cannot_ask_for_a_start_and_for_more_players_than_are_seated(status: str) -> None:
    session = a_ready_session("ada", "bob", min_players=2)
    changes: SessionUpdate = {
        "status": "active" if status == "active" else "starting",
        "min_players": 3,
        "name": "x",
    }
    before = session.model_dump_doc()
    with pytest.raises(NotEnoughPlayers):
        session.change(changes, SYSTEM, LATER)
    assert session.model_dump_doc() == before


def test_a_leave_below_min_players_takes_a_starting_session_back_to_waiting() -> None:
    session = a_ready_session("ada", "bob", "cleo", min_players=2)
    session.leave("cleo", SYSTEM, LATER)
    assert (session.status, session.version, ready(session)) == ("starting", 2, ["ada", "bob"])
    session.leave("ada", SYSTEM, LATEST)
    assert (session.status, session.version, ready(session)) == ("waiting", 3, [])
    assert (session.started_at, session.updated_at) == (None, LATEST)
    session.join(["dan"], None, SYSTEM, LATEST)  # It can be joined again.


def test_raising_min_players_takes_a_starting_session_back_to_waiting() -> None:
    session = a_ready_session("ada", "bob")
    session.change({"min_players": 2}, SYSTEM, LATER)
    assert session.status == "starting"
    session.change({"min_players": 3, "name": "x"}, SYSTEM, LATER)
    assert (session.status, session.version, ready(session)) == ("waiting", 3, [])
    assert (session.min_players, session.name) == (3, "x")


def test_nobody_is_ready_after_a_client_has_taken_the_session_back_to_waiting() -> None:
    session = a_ready_session("ada", "bob")
    session.change({"status": "waiting"}, SYSTEM, LATER)
    assert (session.status, session.version, ready(session)) == ("waiting", 2, [])


def test_an_active_session_may_have_fewer_players_than_min_players() -> None:
    session = a_ready_session("ada", "bob", min_players=2)
    session.change({"status": "active"}, SYSTEM, LATER)
    session.leave("ada", SYSTEM, LATER)
    session.change({"min_players": 4}, SYSTEM, LATER)
    session.change({"status": "active", "name": "x"}, SYSTEM, LATER)
    assert (session.status, session.version, ready(session)) == ("active", 5, ["bob"])


def test_times_never_go_back_when_the_clocks_of_processes_differ() -> None:
    """Each change comes from a process whose clock is behind."""
    session = a_session("ada", updated_at=LATER)
    session.join(["bob"], None, SYSTEM, NOW)
    assert session.members[1].joined_at == LATER
    session.change({"status": "starting"}, SYSTEM, LATEST)
    session.change({"status": "active"}, SYSTEM, NOW)
    assert session.started_at == LATEST
    session.change({"status": "ended"}, SYSTEM, LATER)
    assert session.ended_at == session.updated_at == LATEST


async def test_the_api_takes_a_starting_session_back_to_waiting(api: Api) -> None:
    for name in ("ada", "bob"):
        await api.post("/api/v1/players", json={"username": name, "player_id": name})
    body = {"name": "s", "game_mode": "duel", "max_players": 4, "host_player_id": "ada"}
    created = await api.post("/api/v1/sessions", json={**body, "min_players": 2})
    path = created.headers["Location"]
    refused = await api.put(path, json={"status": "starting"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_enough_players")
    await api.put(f"{path}/players/bob")
    await api.patch(f"{path}/players/ada", json={"ready": True})
    assert (await api.put(path, json={"status": "starting"})).json()["status"] == "starting"
    refused = await api.put(path, json={"status": "active", "min_players": 3})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_enough_players")
    assert (await api.delete(f"{path}/players/bob")).status_code == 204
    session = (await api.get(path)).json()
    assert (session["status"], session["version"]) == ("waiting", 5)
    assert session["started_at"] is None
    assert [member["ready"] for member in session["members"]] == [False]
