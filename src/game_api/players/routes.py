"""The endpoints below /api/v1/players, except for a player's session (see `sessions/routes.py`)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from game_api.errors import DatabaseUnavailable, VersionMismatch
from game_api.http.access import Granted
from game_api.http.dependencies import Now, app_object
from game_api.http.idempotency import NewIdentity
from game_api.http.openapi import ETAG, LOCATION, NOT_MODIFIED, links, problems
from game_api.http.pagination import Cursor, Limit, decode_cursor, next_cursor
from game_api.http.preconditions import IfMatch, IfNoneMatch, not_modified, provided
from game_api.http.responses import shown
from game_api.http.routing import ApiRoute
from game_api.players import schemas
from game_api.players.errors import InSession, PlayerExists, PlayerNotFound, UsernameTaken
from game_api.players.model import Player, PlayerUpdate, PlayerId, Username
from game_api.players.schemas import PlayerCreate, PlayerPage
from game_api.players.store import PlayerStore, Rule

router = APIRouter(prefix="/api/v1/players", tags=["players"], route_class=ApiRoute)

Players = Annotated[PlayerStore, Depends(app_object(PlayerStore))]


@router.post(
    "",
    operation_id="createPlayer",
    status_code=201,
    response_model=schemas.Player,
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
    body: PlayerCreate,
    request: Request,
    grant: Granted,
    creation: NewIdentity,
    players: Players,
) -> Response:
    """Create a player. A caller with the role `player` creates the player of the own subject."""
    player_id = body.player_id or grant.own or creation.id
    grant.check(player_id)
    player = Player.new(player_id, body, creation)
    await players.create(player, creation.repeated)
    location = f"{request.scope['path']}/{player.id}"
    return shown(schemas.of_model(player), player.version, 201, location)


@router.get(
    "",
    operation_id="listPlayers",
    response_model=PlayerPage,
    responses={200: {"description": "One page of players."}, **problems(DatabaseUnavailable)},
)
async def list_players(
    grant: Granted,
    players: Players,
    username: Username | None = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """Players sorted by player_id, or only the one with this username (case-insensitive)."""
    grant.check(fields=[] if username is None else ["username"])
    filters = {"list": "players", "username": username and username.lower()}
    after = None if cursor is None else decode_cursor(filters, cursor)
    found = await players.list(username, limit + 1, after)
    keys = [document["_id"] for document in found]
    page: PlayerPage = {
        "items": [schemas.of_document(document) for document in found[:limit]],
        "next_cursor": next_cursor(keys, limit, filters),
    }
    return shown(page)


@router.get(
    "/{player_id}",
    operation_id="getPlayer",
    response_model=schemas.Player,
    responses={
        200: {"description": "The player.", "headers": ETAG},
        **NOT_MODIFIED,
        **problems(PlayerNotFound, DatabaseUnavailable),
    },
)
async def get_player(player_id: PlayerId, known: IfNoneMatch, players: Players) -> Response:
    """A player."""
    player = schemas.of_document(await players.find(player_id))
    if known and known.match_weakly(player["version"]):
        return not_modified(player["version"])
    return shown(player, player["version"])


@router.put(
    "/{player_id}",
    operation_id="updatePlayer",
    response_model=schemas.Player,
    responses={
        200: {"description": "The changed player.", "headers": ETAG},
        **problems(PlayerNotFound, UsernameTaken, VersionMismatch, DatabaseUnavailable),
    },
)
async def update_player(
    player_id: PlayerId,
    body: PlayerUpdate,
    condition: IfMatch,
    grant: Granted,
    players: Players,
    now: Now,
) -> Response:
    """Change a player. Absent fields keep their values; `attributes` is replaced as a whole."""
    grant.check(player_id)
    rule: Rule[None] = provided(condition, lambda player: player.change(body, now))
    player, _ = await players.change(player_id, rule)
    return shown(schemas.of_model(player), player.version)


@router.delete(
    "/{player_id}",
    operation_id="deletePlayer",
    status_code=204,
    response_class=Response,  # Without a body, there is no content type in the document.
    responses={
        204: {"description": "The player is deleted."},
        **problems(PlayerNotFound, InSession, VersionMismatch, DatabaseUnavailable),
    },
)
async def delete_player(
    player_id: PlayerId, condition: IfMatch, grant: Granted, players: Players
) -> Response:
    """Delete a player who has no seat in a live session."""
    grant.check(player_id)
    await players.delete(player_id, condition.check)
    return Response(status_code=204)
