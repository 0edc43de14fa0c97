"""The flow that every generated client runs, with openapi-python-client."""

# mypy: disable-error-code="import-not-found"
# The generated package exists only in the scratch folder, where this file is checked as well.

import os
from http import HTTPStatus
from typing import TypeVar

import httpx

from game_api_client import AuthenticatedClient
from game_api_client.api.health import get_health
from game_api_client.api.players import (
    create_player,
    delete_player,
    get_player,
    get_player_session,
    list_players,
    update_player,
)
from game_api_client.api.sessions import (
    create_session,
    join_session,
    join_session_as_party,
    leave_session,
    list_sessions,
    update_member,
    update_session,
)
from game_api_client.models import (
    Attributes,
    Health,
    MemberUpdate,
    PartyJoin,
    Player,
    PlayerCreate,
    PlayerPage,
    PlayerUpdate,
    Problem,
    ServerAddress,
    Session,
    SessionCreate,
    SessionJoin,
    SessionPage,
    SessionStatus,
    SessionUpdate,
)
from game_api_client.types import UNSET, Response, Unset

T = TypeVar("T")

URL = os.environ["GAME_API_URL"]
TOKEN = os.environ["GAME_API_TOKEN"]
PREFIX = os.environ["GAME_API_PREFIX"]
ADA, BOB, EVE, DAN = (PREFIX + name for name in ("ada", "bob", "eve", "dan"))
VALUES: dict[str, bool | float | int | str]
VALUES = {"text": "5", "whole": 2**53 + 1, "half": 1.5, "flag": True}
api = AuthenticatedClient(base_url=URL, token=TOKEN)


def as_text(request: httpx.Request) -> None:
    request.headers["Content-Type"] = "text/plain"


strangers = AuthenticatedClient(base_url=URL, token="made-up")
elsewhere = AuthenticatedClient(base_url=f"{URL}/nowhere", token=TOKEN)
texts = AuthenticatedClient(
    base_url=URL, token=TOKEN, httpx_args={"event_hooks": {"request": [as_text]}}
)


def attributes(**values: bool | float | int | str) -> Attributes:
    return Attributes.from_dict(values)


def ok(kind: type[T], response: Response[T | Problem], status: int = 200) -> T:
    assert response.status_code == status, response
    assert isinstance(response.parsed, kind), response
    return response.parsed


def done(response: Response[T | Problem], status: int = 204) -> None:
    assert response.status_code == status and response.parsed is None, response


def refused(name: str, response: Response[T | Problem]) -> Problem:
    problem = response.parsed
    assert isinstance(problem, Problem), f"{name} was not refused: {response}"
    print("refusal", name, int(response.status_code), problem.code, sep="\t", flush=True)
    assert problem.status == response.status_code and problem.request_id
    return problem


def players() -> None:
    body = PlayerCreate(
        username=ADA, player_id=ADA, region="eu-central-1", attributes=attributes(**VALUES)
    )
    player = ok(Player, create_player.sync_detailed(client=api, body=body), 201)
    assert player.attributes.to_dict() == VALUES
    for name in (BOB, EVE, DAN):
        body = PlayerCreate(username=name, player_id=name)
        ok(Player, create_player.sync_detailed(client=api, body=body), 201)

    def change(body: PlayerUpdate) -> Player:
        return ok(Player, update_player.sync_detailed(ADA, client=api, body=body))

    player = change(PlayerUpdate(rating=1500))
    assert (player.rating, player.region, player.version) == (1500, "eu-central-1", 2)
    assert player.attributes.to_dict() == VALUES
    assert change(PlayerUpdate(region=None)).region is None
    etag = get_player.sync_detailed(ADA, client=api).headers["ETag"]
    known = get_player.sync_detailed(ADA, client=api, if_none_match=etag)
    assert known.status_code == HTTPStatus.NOT_MODIFIED
    page = ok(PlayerPage, list_players.sync_detailed(client=api, username=ADA))
    assert [player.player_id for player in page.items] == [ADA]
    refused_players()


def refused_players() -> None:
    def create(body: PlayerCreate, client: AuthenticatedClient = api) -> Response[Player | Problem]:
        return create_player.sync_detailed(client=client, body=body)

    refused("player_exists", create(PlayerCreate(username=f"{ADA}2", player_id=ADA)))
    refused("username_taken", create(PlayerCreate(username=ADA.upper())))
    refused("unauthenticated", get_player.sync_detailed(ADA, client=strangers))
    refused("player_not_found", get_player.sync_detailed(f"{PREFIX}nobody", client=api))
    refused("not_found", get_player.sync_detailed(ADA, client=elsewhere))
    problem = refused("validation_error", list_players.sync_detailed(client=api, limit=0))
    assert not isinstance(problem.errors, Unset)
    assert problem.errors[0].loc == ["query", "limit"]
    refused(
        "body_too_large",
        create(PlayerCreate(username=ADA, attributes=attributes(text="x" * 70_000))),
    )
    refused("unsupported_media_type", create(PlayerCreate(username=ADA), texts))


def new_session(
    mode: str = "duel",
    max_players: int = 2,
    min_players: int | Unset = UNSET,
    host_player_id: str | Unset = UNSET,
    attributes: Attributes | Unset = UNSET,
) -> Session:
    body = SessionCreate(
        name="Friday duel",
        game_mode=PREFIX + mode,
        max_players=max_players,
        min_players=min_players,
        host_player_id=host_player_id,
        attributes=attributes,
    )
    return ok(Session, create_session.sync_detailed(client=api, body=body), 201)


def update(
    session_id: str, body: SessionUpdate, if_match: str | Unset = UNSET
) -> Response[Session | Problem]:
    return update_session.sync_detailed(session_id, client=api, body=body, if_match=if_match)


def join(
    session_id: str, player_id: str, body: SessionJoin | Unset = UNSET
) -> Response[Session | Problem]:
    return join_session.sync_detailed(session_id, player_id, client=api, body=body)


def set_ready(session_id: str, player_id: str) -> Response[Session | Problem]:
    body = MemberUpdate(ready=True)
    return update_member.sync_detailed(session_id, player_id, client=api, body=body)


def play() -> None:
    duel = new_session(min_players=2).session_id
    session = ok(Session, join(duel, ADA, SessionJoin(team="red")), 201)
    assert (session.members[0].team, session.host_player_id) == ("red", ADA)
    ok(Session, join(duel, ADA, SessionJoin(team="red")), 200)
    problem = refused(
        "not_enough_players", update(duel, SessionUpdate(status=SessionStatus.STARTING))
    )
    assert (problem.player_count, problem.min_players) == (1, 2)
    problem = refused(
        "illegal_transition", update(duel, SessionUpdate(status=SessionStatus.ACTIVE))
    )
    assert (problem.from_, problem.to) == ("waiting", "active")
    assert problem.allowed == ["starting", "cancelled"]
    assert ok(Session, join(duel, BOB), 201).members[1].team is None
    refused_seats(duel)

    session = ok(Session, set_ready(duel, ADA))
    assert session.members[0].ready
    problem = refused("version_mismatch", update(duel, SessionUpdate(name="Late"), '"1"'))
    assert problem.current_version == session.version
    start = SessionUpdate(status=SessionStatus.STARTING)
    ok(Session, update(duel, start, f'"{session.version}"'))
    server = ServerAddress(address="198.51.100.7", port=7777)
    session = ok(Session, update(duel, SessionUpdate(status=SessionStatus.ACTIVE, server=server)))
    assert session.server and session.server.port == server.port and session.started_at
    assert ok(Session, update(duel, SessionUpdate(status=SessionStatus.ENDED))).ended_at
    problem = refused("session_over", update(duel, SessionUpdate(name="Again")))
    assert problem.session_status == "ended"


def refused_seats(duel: str) -> None:
    """The refusals that need a full session, and another one that Eve hosts."""
    other = new_session(max_players=4, host_player_id=EVE).session_id
    refused("session_full", join(duel, DAN))
    smaller = SessionUpdate(max_players=1, min_players=1)
    assert refused("too_many_members", update(duel, smaller)).player_count == 2
    problem = refused("already_in_session", join(other, ADA))
    assert (problem.session_id, problem.player_id) == (duel, ADA)
    refused("not_a_member", set_ready(duel, EVE))
    refused("not_a_member as host", update(duel, SessionUpdate(host_player_id=EVE)))
    refused("not_in_session", get_player_session.sync_detailed(DAN, client=api))
    problem = refused("in_session", delete_player.sync_detailed(ADA, client=api))
    assert problem.session_id == duel
    ok(Session, update(other, SessionUpdate(status=SessionStatus.STARTING)))
    problem = refused("session_not_joinable", join(other, DAN))
    assert problem.session_status == "starting"
    refused("session_not_found", update(f"{PREFIX}nowhere", SessionUpdate(name="Nowhere")))


def page(
    status: list[SessionStatus] | Unset = UNSET,
    attribute: list[str] | Unset = UNSET,
    joinable: bool | Unset = UNSET,
    limit: int | Unset = UNSET,
    cursor: str | Unset = UNSET,
) -> SessionPage:
    response = list_sessions.sync_detailed(
        client=api,
        game_mode=f"{PREFIX}list",
        status=status,
        attribute=attribute,
        joinable=joinable,
        limit=limit,
        cursor=cursor,
    )
    return ok(SessionPage, response)


def lists() -> None:
    parities = ("even", "odd", "even", "odd", "even")
    ids = [
        new_session("list", attributes=attributes(parity=parity, level=i)).session_id
        for i, parity in enumerate(parities)
    ]
    ok(Session, update(ids[0], SessionUpdate(status=SessionStatus.CANCELLED)))
    assert len(page().items) == 4
    assert len(page(joinable=True).items) == 4
    assert len(page(attribute=["parity:odd"]).items) == 2
    assert len(page(attribute=["parity:odd", "level:3"]).items) == 1
    assert len(page(status=[SessionStatus.CANCELLED]).items) == 1
    statuses = [SessionStatus.WAITING, SessionStatus.CANCELLED]
    found = page(statuses, limit=2)
    walked = [session.session_id for session in found.items]
    while found.next_cursor is not None:
        found = page(statuses, limit=2, cursor=found.next_cursor)
        walked += [session.session_id for session in found.items]
    assert walked == ids[::-1]

    party = join_session_as_party.sync_detailed(
        ids[1], client=api, body=PartyJoin(player_ids=[DAN])
    )
    assert ok(Session, party).player_count == 1
    done(leave_session.sync_detailed(ids[1], DAN, client=api))
    done(delete_player.sync_detailed(DAN, client=api))


if __name__ == "__main__":
    assert ok(Health, get_health.sync_detailed(client=api)).status == "ok"
    players()
    play()
    lists()
