"""/api/v1/players"""

from fastapi import APIRouter, Request, Response

from game_api.dependencies import Now, Players, Sessions
from game_api.errors import (
    DatabaseUnavailable,
    InSession,
    NotInSession,
    PlayerExists,
    PlayerNotFound,
    UsernameTaken,
    VersionMismatch,
)
from game_api.ids import new_id
from game_api.openapi import ETAG, LOCATION, NOT_MODIFIED, links, problems
from game_api.pagination import Cursor, Limit, Page, decode_cursor, page_of
from game_api.players.model import Player, PlayerChanges, PlayerId, Username
from game_api.players.schemas import NewPlayer, PlayerOut
from game_api.preconditions import IfMatch, IfNoneMatch, etag, not_modified
from game_api.routing import ApiRoute
from game_api.sessions.schemas import SessionOut

router = APIRouter(prefix="/api/v1/players", tags=["players"], route_class=ApiRoute)


@router.post(
    "",
    operation_id="createPlayer",
    status_code=201,
    responses={
        201: {
            "description": "The player.",
            "headers": LOCATION | ETAG,
            "links": links(
                "player_id",
                get="getPlayer",
                update="updatePlayer",
                delete="deletePlayer",
                session="getPlayerSession",
                join="joinSession",
                leave="leaveSession",
            ),
        },
        **problems(PlayerExists, UsernameTaken, DatabaseUnavailable),
    },
)
async def create_player(
    body: NewPlayer, request: Request, response: Response, players: Players, now: Now
) -> PlayerOut:
    """Create a player."""
    player = Player(
        id=body.player_id or new_id(),
        username=body.username,
        username_key=body.username.lower(),
        display_name=body.display_name or body.username,
        region=body.region,
        rating=body.rating,
        attributes=body.attributes,
        created_at=now,
        updated_at=now,
    )
    await players.create(player)
    response.headers["Location"] = f"{request.url.path}/{player.id}"
    response.headers["ETag"] = etag(player.version)
    return PlayerOut.of(player)


@router.get("", operation_id="listPlayers", responses=problems(DatabaseUnavailable))
async def list_players(
    players: Players,
    username: Username | None = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[PlayerOut]:
    """Players by player_id, or the one with a username, whatever its case."""
    filters = {"list": "players", "username": username and username.lower()}
    after = None if cursor is None else decode_cursor(filters, cursor)
    found = await players.list(username, limit + 1, after)
    return page_of([PlayerOut.of(player) for player in found], limit, filters, "player_id")


@router.get(
    "/{player_id}",
    operation_id="getPlayer",
    response_model=PlayerOut,
    responses={
        200: {"description": "The player.", "headers": ETAG},
        **NOT_MODIFIED,
        **problems(PlayerNotFound, DatabaseUnavailable),
    },
)
async def get_player(
    player_id: PlayerId, known: IfNoneMatch, response: Response, players: Players
) -> PlayerOut | Response:
    """A player."""
    player = await players.get(player_id)
    if known and known.match_weakly(player.version):
        return not_modified(player.version)
    response.headers["ETag"] = etag(player.version)
    return PlayerOut.of(player)


@router.put(
    "/{player_id}",
    operation_id="updatePlayer",
    responses={
        200: {"description": "The player as it is now.", "headers": ETAG},
        **problems(PlayerNotFound, UsernameTaken, VersionMismatch, DatabaseUnavailable),
    },
)
async def update_player(
    player_id: PlayerId,
    body: PlayerChanges,
    condition: IfMatch,
    response: Response,
    players: Players,
    now: Now,
) -> PlayerOut:
    """Change a player; absent fields stay, `attributes` is replaced whole."""
    player = await players.update(player_id, body, condition, now)
    response.headers["ETag"] = etag(player.version)
    return PlayerOut.of(player)


@router.delete(
    "/{player_id}",
    operation_id="deletePlayer",
    status_code=204,
    responses=problems(PlayerNotFound, InSession, VersionMismatch, DatabaseUnavailable),
)
async def delete_player(player_id: PlayerId, condition: IfMatch, players: Players) -> None:
    """Remove a player who has no seat in a live session."""
    await players.delete(player_id, condition)


@router.get(
    "/{player_id}/session",
    operation_id="getPlayerSession",
    responses={
        200: {"description": "The session.", "headers": ETAG},
        **problems(PlayerNotFound, NotInSession, DatabaseUnavailable),
    },
)
async def get_player_session(
    player_id: PlayerId, response: Response, players: Players, sessions: Sessions
) -> SessionOut:
    """The live session in which the player has a seat.

    `If-None-Match` is not looked at: the next session has the same versions.
    """
    session = await sessions.of_player(await players.get(player_id))
    if session is None:
        raise NotInSession()
    response.headers["ETag"] = etag(session.version)
    return SessionOut.of(session)
