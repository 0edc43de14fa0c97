"""The endpoints below /api/v1/sessions, and /api/v1/players/{player_id}/session."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from pydantic import StringConstraints

from game_api.errors import DatabaseUnavailable, VersionMismatch
from game_api.http.access import Granted
from game_api.http.dependencies import Now, app_object
from game_api.http.idempotency import NewIdentity
from game_api.http.openapi import ETAG, LOCATION, NOT_MODIFIED, links, problems
from game_api.http.pagination import Cursor, Limit, decode_cursor, next_cursor
from game_api.http.preconditions import IfMatch, IfNoneMatch, not_modified, provided
from game_api.http.problems import ValidationFailed
from game_api.http.responses import shown
from game_api.http.routing import ApiRoute
from game_api.players.errors import PlayerNotFound
from game_api.players.model import PlayerId, Region
from game_api.players.routes import Players
from game_api.sessions import schemas
from game_api.sessions.errors import (
    AlreadyInSession,
    IllegalTransition,
    MemberNotFound,
    NotAMember,
    NotEnoughPlayers,
    NotInSession,
    SessionFull,
    SessionNotFound,
    SessionNotJoinable,
    SessionOver,
    TooManyMembers,
)
from game_api.sessions.filters import SessionFilter
from game_api.sessions.model import (
    Events,
    GameMode,
    MemberUpdate,
    Session,
    SessionUpdate,
    SessionId,
    SessionStatus,
    check_seats,
)
from game_api.sessions.permitted import permitted
from game_api.sessions.rounds import Rule
from game_api.sessions.schemas import PartyJoin, SessionCreate, SessionJoin, SessionPage
from game_api.sessions.store import SessionStore
from game_api.values import (
    MAX_ATTRIBUTE_KEY,
    MAX_ATTRIBUTE_TEXT,
    MAX_ATTRIBUTES,
    DecimalText,
    TrueOrFalse,
)

router = APIRouter(prefix="/api/v1/sessions", tags=["sessions"], route_class=ApiRoute)
players_router = APIRouter(prefix="/api/v1/players", tags=["players"], route_class=ApiRoute)

Sessions = Annotated[SessionStore, Depends(app_object(SessionStore))]

SESSION_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The current session.", "headers": ETAG}
}

AttributeFilter = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9_]{1,64}:", max_length=MAX_ATTRIBUTE_KEY + 1 + MAX_ATTRIBUTE_TEXT
    ),
]


def changed(session: Session, status: int = 200) -> Response:
    """The response that shows a session after a change."""
    return shown(schemas.of_model(session), session.version, status)


@router.post(
    "",
    operation_id="createSession",
    status_code=201,
    response_model=schemas.Session,
    responses={
        201: {
            "description": "The session.",
            "headers": LOCATION | ETAG,
            "links": links(
                "session_id",
                get="getSession",
                update="updateSession",
                join="joinSession",
                leave="leaveSession",
            ),
        },
        **problems(PlayerNotFound, AlreadyInSession, DatabaseUnavailable),
    },
)
async def create_session(
    body: SessionCreate,
    request: Request,
    grant: Granted,
    creation: NewIdentity,
    sessions: Sessions,
) -> Response:
    """Create a session. The host takes the first seat.

    A caller with the role `player` is the host; for others the host is optional.
    """
    host = body.host_player_id or grant.own
    grant.check(*([] if host is None else [host]))
    session = Session.new(body, host, creation)
    session = await sessions.create(session, creation.repeated)
    location = f"{request.scope['path']}/{session.id}"
    return shown(schemas.of_model(session), session.version, 201, location)


@router.get(
    "",
    operation_id="listSessions",
    response_model=SessionPage,
    responses={200: {"description": "One page of sessions."}, **problems(DatabaseUnavailable)},
)
async def list_sessions(
    sessions: Sessions,
    status: Annotated[
        list[SessionStatus],
        Query(description="Any of these statuses. The default is every live one."),
    ] = [],
    game_mode: GameMode | None = None,
    region: Region | None = None,
    min_free_slots: Annotated[int | None, Query(ge=0, le=256), DecimalText] = None,
    host_player_id: PlayerId | None = None,
    attribute: Annotated[
        list[AttributeFilter],
        Query(
            max_length=MAX_ATTRIBUTES,
            description="`key:value` selects the sessions whose attribute has exactly this value. "
            "`level:5` matches the number 5 and the string `5`. Several must all match.",
            examples=[["map:harbour", "ranked:true"]],
        ),
    ] = [],
    joinable: Annotated[
        bool,
        Query(
            description="`true` selects the sessions with a free seat that a new player may join: "
            "`waiting`, or `active` with `join_in_progress`. `false` applies no filter."
        ),
        TrueOrFalse,
    ] = False,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """Public sessions, newest first; without `status`, the live ones."""
    wanted = SessionFilter(
        status=tuple(sorted(set(status))),
        game_mode=game_mode,
        region=region,
        min_free_slots=min_free_slots,
        host_player_id=host_player_id,
        attributes=attribute_filters(attribute),
        joinable=joinable,
    )
    filters = {"list": "sessions", **wanted.query()}
    before = None if cursor is None else decode_cursor(filters, cursor)
    found = await sessions.list(wanted, limit + 1, before)
    keys = [document["_id"] for document in found]
    page: SessionPage = {
        "items": [schemas.of_document(document) for document in found[:limit]],
        "next_cursor": next_cursor(keys, limit, filters),
    }
    return shown(page)


def attribute_filters(filters: list[str]) -> dict[str, str]:
    """The values of `key:value` filters, by key. Raises ValidationFailed for a repeated key."""
    wanted: dict[str, str] = {}
    for key, _, text in (each.partition(":") for each in filters):
        if key in wanted:
            raise ValidationFailed.at(
                "query", "attribute", msg=f"the key {key} is given more than once", type="repeated"
            )
        wanted[key] = text
    return wanted


@router.get(
    "/{session_id}",
    operation_id="getSession",
    response_model=schemas.Session,
    responses={
        **SESSION_RESPONSE,
        **NOT_MODIFIED,
        **problems(SessionNotFound, DatabaseUnavailable),
    },
)
async def get_session(
    session_id: SessionId,
    known: IfNoneMatch,
    grant: Granted,
    sessions: Sessions,
) -> Response:
    """A session. A private session is shown to its members, and to game servers and admins."""
    session = await sessions.find(session_id)
    if not grant.sees(session):
        raise SessionNotFound(session_id)
    if known and known.match_weakly(session.version):
        return not_modified(session.version)
    return shown(schemas.of_document(session.document), session.version)


@router.put(
    "/{session_id}",
    operation_id="updateSession",
    response_model=schemas.Session,
    responses={
        **SESSION_RESPONSE,
        **problems(
            SessionNotFound,
            IllegalTransition,
            NotEnoughPlayers,
            TooManyMembers,
            NotAMember,
            SessionOver,
            VersionMismatch,
            DatabaseUnavailable,
        ),
    },
)
async def update_session(
    session_id: SessionId,
    body: SessionUpdate,
    condition: IfMatch,
    grant: Granted,
    sessions: Sessions,
    now: Now,
) -> Response:
    """Change the status and settings of a session, all or nothing; absent fields stay unchanged."""
    if "min_players" in body and "max_players" in body:
        check_seats(body["min_players"], body["max_players"])
    rule: Rule[Events] = provided(
        condition, lambda session: session.change(body, grant.caller, now)
    )
    session, _ = await sessions.change(session_id, permitted(grant, rule))
    return changed(session)


@router.post(
    "/{session_id}/players",
    operation_id="joinSessionAsParty",
    response_model=schemas.Session,
    responses={
        **SESSION_RESPONSE,
        **problems(
            SessionNotFound,
            PlayerNotFound,
            SessionFull,
            SessionNotJoinable,
            AlreadyInSession,
            DatabaseUnavailable,
        ),
    },
)
async def join_session_as_party(
    session_id: SessionId,
    body: PartyJoin,
    grant: Granted,
    sessions: Sessions,
    now: Now,
) -> Response:
    """Seat a party, all of its players or none, as one version."""
    rule: Rule[Events] = permitted(
        grant,
        lambda session: session.join(body.player_ids, None, grant.caller, now),
        *body.player_ids,
    )
    session, _ = await sessions.join(session_id, rule)
    return changed(session)


@router.put(
    "/{session_id}/players/{player_id}",
    operation_id="joinSession",
    response_model=schemas.Session,
    responses={
        200: {"description": "The player was already seated.", "headers": ETAG},
        201: {
            "description": "The player has taken a seat.",
            "model": schemas.Session,
            "headers": ETAG,
        },
        **problems(
            SessionNotFound,
            PlayerNotFound,
            SessionFull,
            SessionNotJoinable,
            AlreadyInSession,
            VersionMismatch,
            DatabaseUnavailable,
        ),
    },
)
async def join_session(
    session_id: SessionId,
    player_id: PlayerId,
    condition: IfMatch,
    grant: Granted,
    sessions: Sessions,
    now: Now,
    body: Annotated[SessionJoin | None, Body()] = None,
) -> Response:
    """Take a seat. The first player in a session becomes its host."""
    team = body.team or None if body is not None else None
    rule: Rule[Events] = provided(
        condition, lambda session: session.join([player_id], team, grant.caller, now)
    )
    session, events = await sessions.join(session_id, permitted(grant, rule, player_id))
    return changed(session, 201 if events else 200)


@router.patch(
    "/{session_id}/players/{player_id}",
    operation_id="updateMember",
    response_model=schemas.Session,
    responses={
        **SESSION_RESPONSE,
        **problems(
            SessionNotFound, MemberNotFound, SessionOver, VersionMismatch, DatabaseUnavailable
        ),
    },
)
async def update_member(
    session_id: SessionId,
    player_id: PlayerId,
    body: MemberUpdate,
    condition: IfMatch,
    grant: Granted,
    sessions: Sessions,
    now: Now,
) -> Response:
    """Change the team or the readiness of a member."""
    rule: Rule[Events] = provided(
        condition, lambda session: session.change_member(player_id, body, grant.caller, now)
    )
    session, _ = await sessions.change(session_id, permitted(grant, rule, player_id, fields=body))
    return changed(session)


@router.delete(
    "/{session_id}/players/{player_id}",
    operation_id="leaveSession",
    status_code=204,
    response_class=Response,  # Without a body, there is no content type in the document.
    responses={
        204: {"description": "The player has no seat in the session."},
        **problems(SessionNotFound, VersionMismatch, DatabaseUnavailable),
    },
)
async def leave_session(
    session_id: SessionId,
    player_id: PlayerId,
    condition: IfMatch,
    grant: Granted,
    sessions: Sessions,
    now: Now,
) -> Response:
    """Leave the session. If the host leaves, the longest-seated member becomes the host."""
    rule: Rule[Events] = provided(
        condition, lambda session: session.leave(player_id, grant.caller, now)
    )
    await sessions.change(session_id, permitted(grant, rule, player_id))
    return Response(status_code=204)


@players_router.get(
    "/{player_id}/session",
    operation_id="getPlayerSession",
    response_model=schemas.Session,
    responses={
        200: {"description": "The session.", "headers": ETAG},
        **problems(PlayerNotFound, NotInSession, DatabaseUnavailable),
    },
)
async def get_player_session(
    player_id: PlayerId,
    grant: Granted,
    players: Players,
    sessions: Sessions,
) -> Response:
    """The live session in which the player has a seat.

    `If-None-Match` is ignored, because the player's next session may have the same version.
    """
    grant.check(player_id)
    player = await players.find(player_id)
    session = await sessions.live_session_of(player_id, player["session_id"])
    if session is None:
        raise NotInSession()
    return shown(schemas.of_document(session.document), session.version)
