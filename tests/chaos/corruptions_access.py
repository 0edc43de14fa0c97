"""Histories with one mistake in permissions, tokens or requests with an `Idempotency-Key`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.chaos.corruptions import Corruptible, violates
from tests.chaos.history import IN_PROGRESS, REUSED, Operation
from tests.chaos.keys import repetitions


def keyed(history: Corruptible, kind: str = "create session", status: int = 201) -> Operation:
    """The first answer to a request with a key, which was repeated neither before nor after."""
    return next(
        group[0]
        for group in repetitions(history.history.operations).values()
        if len(group) == 1 and (group[0].kind, group[0].status) == (kind, status)
    )


def repeat(history: Corruptible, operation: Operation, after: float = 0.0) -> Operation:
    """Add a correct repetition at the end."""
    start = history.end + after
    number = len(history.history.operations) + 10_000
    repetition = replace(
        operation, number=number, start=start, end=start + 0.01, over=start + 0.01, replayed=True
    )
    history.history.operations.append(repetition)
    history.end = start + 1
    return repetition


def find_by(history: Corruptible, condition: Callable[[Operation], bool]) -> Operation:
    return next(operation for operation in history.history.operations if condition(operation))


@violates("answers are permitted")
def a_player_changes_another_player(history: Corruptible) -> None:
    operation = history.find("update player", 200, role="player")
    operation.subject = "another"


@violates("answers are permitted")
def a_player_learns_the_state_of_another_player(history: Corruptible) -> None:
    player_id = history.player()["player_id"]
    answer = {"code": "version_mismatch", "current_version": 1}
    history.append("delete player", 412, player_id, answer=answer, role="player", if_match=999)


@violates("answers are permitted")
def a_server_creates_a_player(history: Corruptible) -> None:
    history.find("create player", 201).role = "server"


@violates("answers are permitted")
def a_forged_token_is_accepted(history: Corruptible) -> None:
    history.find("list players", 200).token = "forged"


@violates("answers are permitted")
def an_outsider_sees_a_private_session(history: Corruptible) -> None:
    state = history.find_state(lambda state: state["visibility"] == "private")
    timeline = history.facts.sessions[state["session_id"]]
    session = timeline.states[timeline.last]
    caller: dict[str, Any] = {"role": "player", "subject": "outsider"}
    history.append("get session", 200, session_id=session["session_id"], answer=session, **caller)


@violates("answers are permitted")
def a_player_changes_the_session_of_another_host(history: Corruptible) -> None:
    history.find_change(role="player").subject = "another"


@violates("answers are permitted")
def a_player_lists_all_players(history: Corruptible) -> None:
    operation = find_by(
        history,
        lambda o: o.kind == "list players" and o.status == 200 and "username" not in o.query,
    )
    operation.role = "player"


@violates("a version is one change")
def a_former_host_changes_a_session(history: Corruptible) -> None:
    state = history.live_session()
    body = {"attributes": {"writer": "x"}}
    answer = state | body | {"version": state["version"] + 1}
    caller: dict[str, Any] = {"role": "player", "subject": "another"}
    history.append(
        "update session", 200, session_id=state["session_id"], answer=answer, body=body, **caller
    )


@violates("refusals are true")
def a_player_is_forbidden_what_is_its_own(history: Corruptible) -> None:
    player_id = history.player()["player_id"]
    own: dict[str, Any] = {"role": "player", "subject": player_id}
    history.append("player session", 403, player_id, answer={"code": "forbidden"}, **own)


@violates("refusals are true")
def a_server_is_forbidden_to_seat_a_player(history: Corruptible) -> None:
    session_id = history.live_session()["session_id"]
    answer = {"code": "forbidden"}
    history.append("join", 403, "p", session_id=session_id, answer=answer, role="server")


@violates("refusals are true")
def a_good_token_is_refused(history: Corruptible) -> None:
    history.append("list players", 401, answer={"code": "unauthenticated"})


@violates("refusals are true")
def a_session_is_hidden_from_its_member(history: Corruptible) -> None:
    member = history.live_session()["members"][0]["player_id"]
    session_id = history.live_session()["session_id"]
    caller: dict[str, Any] = {"role": "player", "subject": member}
    answer = {"code": "session_not_found"}
    history.append("get session", 404, session_id=session_id, answer=answer, **caller)


@violates("private sessions are not listed")
def a_private_session_is_listed(history: Corruptible) -> None:
    state = history.find_state(lambda state: state["visibility"] == "private")
    history.append("list sessions", 200, answer={"items": [state]})


@violates("secrets are not logged")
def a_line_of_a_log_contains_a_token(history: Corruptible) -> None:
    history.history.leaks.append("Authorization: Bearer eyJhbGciOi")


@violates("a key creates once")
def a_repetition_creates_another_session(history: Corruptible) -> None:
    repetition = repeat(history, keyed(history))
    repetition.answer = repetition.answer | {"session_id": "another"}


@violates("a key creates once")
def a_repetition_creates_another_player(history: Corruptible) -> None:
    repetition = repeat(history, keyed(history, "create player"))
    repetition.answer = repetition.answer | {"player_id": "another"}


@violates("a key creates once")
def a_lost_request_creates_a_session_that_nobody_is_told_of(history: Corruptible) -> None:
    marker = keyed(history).marker
    created = next(s for s in history.dump.sessions if s["game_mode"] == marker)
    history.dump.sessions.append(created | {"_id": "another"})


@violates("a key creates once")
def two_bodies_with_one_key_create_two_sessions(history: Corruptible) -> None:
    first = keyed(history)
    other = find_by(history, lambda o: o.kind == first.kind and o.status == 201 and not o.key)
    other.key = first.key


@violates("answers of a key are equal")
def a_repetition_has_another_body(history: Corruptible) -> None:
    repeat(history, keyed(history)).text += " "


@violates("answers of a key are equal")
def a_repetition_has_another_status(history: Corruptible) -> None:
    repetition = repeat(history, keyed(history, "create player"))
    repetition.status, repetition.answer = 409, {"code": "player_exists"}


@violates("answers of a key are equal")
def a_repetition_has_another_location(history: Corruptible) -> None:
    repeat(history, keyed(history)).location = "/api/v1/sessions/another"


@violates("answers of a key are equal")
def a_repetition_has_no_version(history: Corruptible) -> None:
    repeat(history, keyed(history)).etag = None


@violates("answered requests are not executed again")
def an_answered_request_is_executed_again(history: Corruptible) -> None:
    repeat(history, keyed(history, "create player", 409)).replayed = False


@violates("answered requests are not executed again")
def another_body_with_the_same_key_is_executed(history: Corruptible) -> None:
    repetition = repeat(history, keyed(history, "create player", 409))
    repetition.marker, repetition.replayed = "another", False


@violates("answered requests are not executed again")
def an_answered_request_is_in_progress(history: Corruptible) -> None:
    repetition = repeat(history, keyed(history))
    repetition.status, repetition.answer = 409, {"code": IN_PROGRESS}
    repetition.replayed = False


@violates("keys are reused where it is said")
def a_new_key_is_called_reused(history: Corruptible) -> None:
    history.append("create session", 422, answer={"code": REUSED}, key="new")


@violates("what a key names exists")
def a_created_session_does_not_exist(history: Corruptible) -> None:
    marker = keyed(history).marker
    history.dump.sessions[:] = [s for s in history.dump.sessions if s["game_mode"] != marker]


@violates("what a key names exists")
def a_created_player_does_not_exist(history: Corruptible) -> None:
    history.append(
        *("create player", 201, "new"),
        answer=history.player() | {"player_id": "new", "region": "new"},
        body={"player_id": "new", "username": "new"},
        marker="new",
        key="new",
    )


@violates("nothing stays in progress")
def a_request_is_in_progress_that_nobody_has_sent(history: Corruptible) -> None:
    history.append("create session", 409, answer={"code": IN_PROGRESS}, key="new")


@violates("nothing stays in progress")
def a_lease_does_not_end(history: Corruptible) -> None:
    lost: dict[str, Any] = {"key": "new", "marker": "new"}
    history.append("create session", 503, answer={"code": "database_unavailable"}, **lost)
    history.end += 60
    history.append("create session", 409, answer={"code": IN_PROGRESS}, **lost)


@violates("keys are settled")
def a_request_is_never_answered(history: Corruptible) -> None:
    for status, code in ((503, "database_unavailable"), (409, IN_PROGRESS)):
        history.append("create session", status, answer={"code": code}, key="new", marker="new")


@violates("no lease is leaked")
def a_lease_is_longer_than_any(history: Corruptible) -> None:
    history.history.settled = False
    history.dump.leases.append(60.0)


@violates("no lease is leaked")
def a_lease_is_left_although_everything_is_answered(history: Corruptible) -> None:
    history.dump.leases.append(20.0)
