"""Histories with one mistake in players, refusals, claims or other answers than sessions."""

from copy import deepcopy

from tests.chaos.corruptions import Corruptible, violates
from tests.chaos.timeline import Interval


@violates("deleted players stay deleted")
def a_deleted_player_is_back(history: Corruptible) -> None:
    life = history.deleted()
    state = life.states[life.last]
    history.append("get player", 200, state["player_id"], answer=state)


@violates("deleted players stay deleted")
def a_replaced_player_is_back(history: Corruptible) -> None:
    player = history.player()
    another = player | {"region": "another", "version": 1}
    history.append("get player", 200, player["player_id"], answer=another)
    history.append("get player", 200, player["player_id"], answer=player)


@violates("deletions delete")
def a_creation_is_repeated_after_its_player_was_deleted(history: Corruptible) -> None:
    body = {"player_id": "new", "username": "new", "region": "new"}
    player = history.player() | body | {"version": 1}
    start = history.end
    history.append("create player", 201, "new", answer=player, body=body, marker="new")
    history.history.operations[-1].end = start + 5
    history.append("delete player", 204, "new", within=Interval(start + 1, start + 2))
    history.append("get player", 200, "new", answer=player, within=Interval(start + 6, start + 7))


@violates("no player vanishes")
def a_player_is_gone_and_nobody_deleted_it(history: Corruptible) -> None:
    player_id = history.player()["player_id"]
    answer = {"code": "player_not_found", "player_id": player_id}
    history.append("get player", 404, player_id, answer=answer)


@violates("no player vanishes")
def a_player_is_replaced_and_nobody_deleted_it(history: Corruptible) -> None:
    player = history.player()
    another = player | {"region": "another", "version": 1}
    history.append("get player", 200, player["player_id"], answer=another)


@violates("nobody with a seat is deleted")
def a_seated_player_is_deleted(history: Corruptible) -> None:
    player_id, _, interval = history.seat()
    history.append("delete player", 204, player_id, within=interval)


@violates("a version of a player is one change")
def a_version_of_a_player_was_made_by_nobody(history: Corruptible) -> None:
    player = history.player()
    later = player | {"version": player["version"] + 1}
    history.append("get player", 200, player["player_id"], answer=later)


@violates("a version of a player is one change")
def a_version_of_a_player_was_told_twice(history: Corruptible) -> None:
    operation = history.find("update player", 200)
    history.append("update player", 200, operation.player_id, answer=operation.answer)


@violates("a version of a player is one change")
def an_update_of_a_player_changed_something_else_too(history: Corruptible) -> None:
    operation = history.find("update player", 200)
    history.rewrite(operation.answer, display_name="another")


@violates("a version of a player is one change")
def an_update_of_a_player_ignored_its_condition(history: Corruptible) -> None:
    operation = history.find("update player", 200)
    operation.if_match = operation.answer["version"] + 1


@violates("a version of a player is one change")
def a_created_player_is_another_one(history: Corruptible) -> None:
    operation = history.find("create player", 201)
    history.rewrite(operation.answer, rating=99)


@violates("times of players are in order")
def a_player_was_changed_before_the_creation(history: Corruptible) -> None:
    history.rewrite(history.player(), updated_at="2000-01-01T00:00:00.000Z")


@violates("names are unique")
def two_documents_have_the_same_name(history: Corruptible) -> None:
    first, second = history.dump.players[:2]
    first["username"] = second["username"].upper()


@violates("names are unique")
def two_players_have_the_same_name_at_once(history: Corruptible) -> None:
    player = history.player()
    another = player | {"player_id": "another", "region": "x"}
    for shown in (player, another, player, another):
        history.append("get player", 200, shown["player_id"], answer=shown)


@violates("answers are expected")
def an_operation_fails(history: Corruptible) -> None:
    history.find("get session", 200).status = 500


@violates("answers are expected")
def a_valid_request_is_invalid(history: Corruptible) -> None:
    history.find("join", 409).status = 422


@violates("answers are expected")
def the_etag_is_another_version(history: Corruptible) -> None:
    operation = history.find("get session", 200)
    operation.etag = operation.answer["version"] + 1


@violates("answers are expected")
def a_process_ends_with_an_error(history: Corruptible) -> None:
    history.history.errors.append("process 0 ended with exit code 1")


@violates("answers are timely")
def an_answer_takes_too_long(history: Corruptible) -> None:
    operation = history.find("get session", 200)
    operation.end = operation.over = operation.start + 60


@violates("answers are timely")
def a_running_process_does_not_answer(history: Corruptible) -> None:
    operation = history.find("get session", 200)
    operation.status, operation.end = None, float("inf")


@violates("refused changes are not made")
def a_refused_change_of_a_session_is_visible(history: Corruptible) -> None:
    operation = history.find_change()
    operation.status, operation.answer = 409, {"code": "session_over"}


@violates("refused changes are not made")
def a_refused_player_exists(history: Corruptible) -> None:
    births = {player["region"] for player in history.dump.players}
    operation = next(
        o
        for o in history.history.operations
        if (o.kind, o.status) == ("create player", 201) and o.player_ids and o.marker in births
    )
    history.history.operations[:] = [
        o for o in history.history.operations if o is operation or o.marker != operation.marker
    ]
    operation.status, operation.answer = 409, {"code": "player_exists"}


@violates("refused changes are not made")
def a_refused_player_is_only_in_the_database(history: Corruptible) -> None:
    operation = history.find("create player", 409)
    history.dump.players.append(history.dump.players[0] | {"region": operation.marker})


@violates("refused changes are not made")
def a_refused_join_has_made_a_seat(history: Corruptible) -> None:
    operation = history.find("join", 201, phase="healing")
    operation.status, operation.answer = 409, {"code": "session_full"}


@violates("refused changes are not made")
def a_request_that_was_never_sent_was_made(history: Corruptible) -> None:
    history.find("create session", 201).sent = False


@violates("refusals are true")
def a_session_is_full_though_it_has_seats(history: Corruptible) -> None:
    state = history.find_state(lambda state: state["max_players"] == 64)
    answer = {"code": "session_full"}
    history.append("join", 409, "p", session_id=state["session_id"], answer=answer)


@violates("refusals are true")
def a_session_that_exists_is_not_found(history: Corruptible) -> None:
    session_id = history.live_session()["session_id"]
    answer = {"code": "session_not_found"}
    history.append("get session", 404, session_id=session_id, answer=answer)


@violates("refusals are true")
def a_player_who_exists_is_not_found(history: Corruptible) -> None:
    player = history.player()
    answer = {"code": "player_not_found"}
    history.append("player session", 404, player["player_id"], answer=answer)
    history.append("get player", 200, player["player_id"], answer=player)


@violates("refusals are true")
def a_player_is_seated_where_the_player_is_not(history: Corruptible) -> None:
    player_id = history.player()["player_id"]
    elsewhere = history.find_state(lambda state: state["status"] == "cancelled")["session_id"]
    answer = {"code": "already_in_session", "session_id": elsewhere, "player_id": player_id}
    session_id = history.live_session()["session_id"]
    history.append("join", 409, player_id, session_id=session_id, answer=answer)


@violates("refusals are true")
def a_player_can_not_be_deleted_without_a_seat(history: Corruptible) -> None:
    ended = history.find_state(lambda state: state["status"] == "cancelled")["session_id"]
    answer = {"code": "in_session", "session_id": ended}
    history.append("delete player", 409, history.player()["player_id"], answer=answer)


@violates("refusals are true")
def a_seated_player_is_in_no_session(history: Corruptible) -> None:
    player_id, _, interval = history.seat()
    answer = {"code": "not_in_session"}
    history.append("player session", 404, player_id, answer=answer, within=interval)


@violates("refusals are true")
def the_demanded_version_is_the_current_one(history: Corruptible) -> None:
    state = history.live_session()
    answer = {"code": "version_mismatch", "current_version": state["version"]}
    history.append(
        *("update session", 412),
        session_id=state["session_id"],
        answer=answer,
        if_match=state["version"],
    )


@violates("refusals are true")
def the_current_version_of_a_player_never_was(history: Corruptible) -> None:
    answer = {"code": "version_mismatch", "current_version": 999}
    history.append("update player", 412, history.player()["player_id"], answer=answer, if_match=1)


@violates("refusals are true")
def a_player_exists_who_does_not(history: Corruptible) -> None:
    player_id = history.deleted().states[1]["player_id"]
    history.append("create player", 409, player_id, answer={"code": "player_exists"})


@violates("refusals are true")
def a_name_is_taken_that_nobody_has(history: Corruptible) -> None:
    body = {"username": "unique"}
    history.append("create player", 409, "p", answer={"code": "username_taken"}, body=body)


@violates("refusals are true")
def a_refusal_has_an_unknown_code(history: Corruptible) -> None:
    session_id = history.live_session()["session_id"]
    history.append("join", 409, "p", session_id=session_id, answer={"code": "other"})


@violates("seated players are claimed")
def a_seated_player_is_free(history: Corruptible) -> None:
    history.dump.players[0] |= {"session_id": None, "claim": None}


@violates("seated players are claimed")
def a_seated_player_does_not_exist(history: Corruptible) -> None:
    del history.dump.players[0]


@violates("nothing is left behind")
def there_is_a_tombstone(history: Corruptible) -> None:
    history.dump.sessions.append({"_id": "s", "revision": 1})


@violates("nothing is left behind")
def a_claim_has_no_seat(history: Corruptible) -> None:
    player = history.dump.players[0]
    for session in history.dump.sessions:
        session["members"] = [m for m in session["members"] if m["player_id"] != player["_id"]]


@violates("nothing is left behind")
def a_claim_has_another_token_than_its_seat(history: Corruptible) -> None:
    history.dump.players[0]["claim"] = "another"


@violates("nothing is left behind")
def something_is_left_before_the_healing(history: Corruptible) -> None:
    history.history.before_healing = deepcopy(history.dump)
    history.history.before_healing.sessions.append({"_id": "s", "revision": 1})


@violates("everybody gets a seat")
def a_player_gets_no_seat_within_two_tries(history: Corruptible) -> None:
    operation = history.find("join", 201, phase="healing")
    operation.status, operation.end = 503, float("inf")
