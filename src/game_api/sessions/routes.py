"""/api/v1/sessions"""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response

from game_api.dependencies import Now, Sessions, TheMetrics
from game_api.errors import (
    AlreadyInSession,
    DatabaseUnavailable,
    IllegalTransition,
    MemberNotFound,
    NotAMember,
    NotEnoughPlayers,
    PlayerNotFound,
    SessionFull,
    SessionNotFound,
    SessionNotJoinable,
    SessionOver,
    TooManyMembers,
    ValidationFailed,
    VersionMismatch,
    translated,
)
from game_api.ids import new_id
from game_api.metrics import JOINS, Metrics
from game_api.openapi import ETAG, LOCATION, NOT_MODIFIED, links, problems
from game_api.pagination import Cursor, Limit, Page, decode_cursor, page_of
from game_api.players.model import PlayerId, Region
from game_api.preconditions import (
    IfMatch,
    IfNoneMatch,
    Precondition,
    etag,
    not_modified,
)
from game_api.routing import ApiRoute
from game_api.sessions.model import (
    GameMode,
    MemberChanges,
    Session,
    SessionChanges,
    SessionId,
    Status,
    check_seats,
)
from game_api.sessions.schemas import Joining, NewSession, Party, SessionOut
from game_api.sessions.store import Result, Rule, SessionFilter, SessionStore

router = APIRouter(prefix="/api/v1/sessions", tags=["sessions"], route_class=ApiRoute)

SHOWN: dict[int | str, dict[str, Any]] = {
    200: {"description": "The session as it is now.", "headers": ETAG}
}

ATTRIBUTE_PREFIX = "attr."
ATTRIBUTE_FILTERS = {
    "name": "attributes",
    "in": "query",
    "style": "form",
    "explode": True,
    "description": "`attr.<key>=<value>`: only sessions whose attribute is exactly this value. "
    "`attr.level=5` finds the number 5 and the text `5`.",
    "schema": {
        "type": "object",
        "patternProperties": {r"^attr\.[A-Za-z0-9_]{1,64}$": {"type": "string", "maxLength": 2048}},
        "additionalProperties": False,
        "maxProperties": 20,
    },
}


def provided(condition: Precondition, rule: Rule[Result]) -> Rule[Result]:
    """The rule, refused when `If-Match` is stale."""

    def conditional(session: Session) -> Result:
        condition.check(session.version)
        return rule(session)

    return conditional


async def counted_join(
    sessions: SessionStore, metrics: Metrics, session_id: str, rule: Rule[bool]
) -> tuple[Session, bool]:
    """Join, and count what came of it."""
    try:
        session, seated = await sessions.change(session_id, rule)
    except Exception as error:
        metrics.count(JOINS, translated(error).code)
        raise
    metrics.count(JOINS, "seated" if seated else "already_seated")
    return session, seated


def shown(response: Response, session: Session) -> SessionOut:
    response.headers["ETag"] = etag(session.version)
    return SessionOut.of(session)


@router.post(
    "",
    operation_id="createSession",
    status_code=201,
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
    body: NewSession, request: Request, response: Response, sessions: Sessions, now: Now
) -> SessionOut:
    """Create a session; its host, when given, takes the first seat."""
    session = await sessions.create(new_session(body, now))
    response.headers["Location"] = f"{request.url.path}/{session.id}"
    return shown(response, session)


def new_session(body: NewSession, now: datetime) -> Session:
    """The session that is asked for, with its host seated, as version 1."""
    check_seats(body.min_players, body.max_players)
    session = Session(
        id=new_id(),
        name=body.name,
        game_mode=body.game_mode,
        region=body.region,
        visibility=body.visibility,
        max_players=body.max_players,
        min_players=body.min_players,
        free_slots=body.max_players,
        join_in_progress=body.join_in_progress,
        attributes=body.attributes,
        created_at=now,
        updated_at=now,
    )
    if body.host_player_id:
        session.join([body.host_player_id], None, now)
        session.version = 1
    return session


@router.get(
    "",
    operation_id="listSessions",
    responses=problems(DatabaseUnavailable),
    openapi_extra={"parameters": [ATTRIBUTE_FILTERS]},
)
async def list_sessions(
    request: Request,
    sessions: Sessions,
    status: Annotated[list[Status], Query(description="Any of these.")] = [],
    game_mode: GameMode | None = None,
    region: Region | None = None,
    min_free_slots: Annotated[int | None, Query(ge=0, le=256)] = None,
    host_player_id: PlayerId | None = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[SessionOut]:
    """Public sessions, newest first."""
    wanted = SessionFilter(
        status=tuple(sorted(set(status))),
        game_mode=game_mode,
        region=region,
        min_free_slots=min_free_slots,
        host_player_id=host_player_id,
        attributes=attribute_filters(request),
    )
    filters = {"list": "sessions", **wanted.query()}
    before = None if cursor is None else decode_cursor(filters, cursor)
    found = await sessions.list(wanted, limit + 1, before)
    return page_of([SessionOut.of(session) for session in found], limit, filters, "session_id")


def attribute_filters(request: Request) -> dict[str, str]:
    """The `attr.<key>=<value>` parameters, by key."""
    wanted = {
        name.removeprefix(ATTRIBUTE_PREFIX): text
        for name, text in request.query_params.items()
        if name.startswith(ATTRIBUTE_PREFIX)
    }
    if len(wanted) > 20:
        raise ValidationFailed.at("query", "attr", msg="at most 20 attributes")
    for key, text in wanted.items():
        if len(text) > 2048:
            raise ValidationFailed.at(
                "query", ATTRIBUTE_PREFIX + key, msg="at most 2048 characters"
            )
    return wanted


@router.get(
    "/{session_id}",
    operation_id="getSession",
    response_model=SessionOut,
    responses={**SHOWN, **NOT_MODIFIED, **problems(SessionNotFound, DatabaseUnavailable)},
)
async def get_session(
    session_id: SessionId, known: IfNoneMatch, response: Response, sessions: Sessions
) -> SessionOut | Response:
    """A session."""
    session = await sessions.get(session_id)
    if known and known.match_weakly(session.version):
        return not_modified(session.version)
    return shown(response, session)


@router.put(
    "/{session_id}",
    operation_id="updateSession",
    responses={
        **SHOWN,
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
    body: SessionChanges,
    condition: IfMatch,
    response: Response,
    sessions: Sessions,
    now: Now,
) -> SessionOut:
    """Change a session's status and settings, all of it or nothing; absent fields stay."""
    if "min_players" in body and "max_players" in body:
        check_seats(body["min_players"], body["max_players"])
    rule = provided(condition, lambda session: session.change(body, now))
    session, _ = await sessions.change(session_id, rule)
    return shown(response, session)


@router.post(
    "/{session_id}/players",
    operation_id="joinSessionAsParty",
    responses={
        **SHOWN,
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
    body: Party,
    response: Response,
    sessions: Sessions,
    metrics: TheMetrics,
    now: Now,
) -> SessionOut:
    """Seat a party, all of it or nobody, as one version."""
    session, _ = await counted_join(
        sessions, metrics, session_id, lambda session: session.join(body.player_ids, None, now)
    )
    return shown(response, session)


@router.put(
    "/{session_id}/players/{player_id}",
    operation_id="joinSession",
    responses={
        200: {"description": "The player was seated already.", "headers": ETAG},
        201: {"description": "The player has a seat now.", "model": SessionOut, "headers": ETAG},
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
    response: Response,
    sessions: Sessions,
    metrics: TheMetrics,
    now: Now,
    body: Annotated[Joining, Body(default_factory=Joining)],
) -> SessionOut:
    """Take a seat. The first player of a session becomes its host."""
    rule = provided(condition, lambda session: session.join([player_id], body.team or None, now))
    session, seated = await counted_join(sessions, metrics, session_id, rule)
    response.status_code = 201 if seated else 200
    return shown(response, session)


@router.patch(
    "/{session_id}/players/{player_id}",
    operation_id="updateMember",
    responses={
        **SHOWN,
        **problems(
            SessionNotFound, MemberNotFound, SessionOver, VersionMismatch, DatabaseUnavailable
        ),
    },
)
async def update_member(
    session_id: SessionId,
    player_id: PlayerId,
    body: MemberChanges,
    condition: IfMatch,
    response: Response,
    sessions: Sessions,
    now: Now,
) -> SessionOut:
    """Change a member's team, or whether the member is ready."""
    rule = provided(condition, lambda session: session.change_member(player_id, body, now))
    session, _ = await sessions.change(session_id, rule)
    return shown(response, session)


@router.delete(
    "/{session_id}/players/{player_id}",
    operation_id="leaveSession",
    status_code=204,
    responses=problems(SessionNotFound, VersionMismatch, DatabaseUnavailable),
)
async def leave_session(
    session_id: SessionId, player_id: PlayerId, condition: IfMatch, sessions: Sessions, now: Now
) -> None:
    """Free the seat; when the host leaves, the longest-seated member becomes host."""
    await sessions.change(
        session_id, provided(condition, lambda session: session.leave(player_id, now))
    )
