"""The floor: bare ASGI, AsyncMongoClient and orjson.

It sends the database the commands that game-api sends, and answers with the same JSON. It checks
nothing, logs nothing and measures nothing, so no server in Python can do the same for much less.
"""

import base64
import hashlib
import os
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from pymongo import AsyncMongoClient

# As in ASGI's specification; the types of Starlette would have to be loaded.
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

Document = dict[str, Any]
Answer = tuple[int, Document | None]
"""The status and the body of an answer."""

client: AsyncMongoClient[Document] = AsyncMongoClient(
    os.environ.get("BENCHMARK_URI"),
    tz_aware=True,
    maxPoolSize=10,
    maxConnecting=2,
    retryWrites=False,
    w="majority",
)
database = client[os.environ.get("BENCHMARK_DATABASE", "benchmark")]
players, sessions = database.players, database.sessions


def now() -> datetime:
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def new_id() -> str:
    """An id that sorts by creation time, with the length of a UUID."""
    return f"{int(time.time() * 1000):012x}"[:8] + "-" + str(uuid.uuid4())[9:]


def shown_player(player: Document) -> Document:
    return {
        "player_id": player["_id"],
        "username": player["username"],
        "display_name": player["display_name"],
        "region": player["region"],
        "rating": player["rating"],
        "attributes": player["attributes"],
        "created_at": text(player["created_at"]),
        "updated_at": text(player["updated_at"]),
        "version": player["version"],
    }


def shown_session(session: Document) -> Document:
    return {
        "session_id": session["_id"],
        "name": session["name"],
        "game_mode": session["game_mode"],
        "region": session["region"],
        "status": session["status"],
        "visibility": session["visibility"],
        "max_players": session["max_players"],
        "min_players": session["min_players"],
        "player_count": len(session["members"]),
        "free_slots": session["free_slots"],
        "join_in_progress": session["join_in_progress"],
        "host_player_id": session["host_player_id"],
        "members": [
            {
                "player_id": member["player_id"],
                "team": member["team"],
                "ready": member["ready"],
                "joined_at": text(member["joined_at"]),
            }
            for member in session["members"]
        ],
        "server": session["server"],
        "attributes": session["attributes"],
        "created_at": text(session["created_at"]),
        "updated_at": text(session["updated_at"]),
        "started_at": text(session["started_at"]),
        "ended_at": text(session["ended_at"]),
        "version": session["version"],
    }


async def body_of(receive: Receive) -> Any:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return orjson.loads(body)


async def write(session: Document) -> None:
    guard = {"_id": session["_id"], "revision": session["revision"]}
    session["revision"] += 1
    session["version"] += 1
    session["writes"] = [*session["writes"], uuid.uuid4().hex][-16:]
    session["updated_at"] = now()
    session["free_slots"] = session["max_players"] - len(session["members"])
    await sessions.replace_one(guard, session)


async def get_player(player_id: str) -> Answer:
    found = await players.find_one({"_id": player_id})
    return (404, {}) if found is None else (200, shown_player(found))


async def get_session(session_id: str) -> Answer:
    found = await sessions.find_one({"_id": session_id})
    return (404, {}) if found is None else (200, shown_session(found))


async def list_sessions(query_string: bytes) -> Answer:
    wanted = dict(pair.split("=") for pair in query_string.decode().split("&"))
    limit = int(wanted.pop("limit"))
    query = {
        "ended_at": None,
        "status": wanted["status"],
        "visibility": "public",
        "game_mode": wanted["game_mode"],
        "purge_at": {"$not": {"$lte": now()}},
    }
    cursor = sessions.find(query, sort=[("_id", -1)], limit=limit + 1, batch_size=limit + 2)
    found = await cursor.to_list()
    items = [shown_session(session) for session in found[:limit]]
    following = None
    if len(found) > limit:
        digest = hashlib.blake2b(query_string, digest_size=8).digest()
        key = digest + items[-1]["session_id"].encode()
        following = base64.urlsafe_b64encode(key).decode().rstrip("=")
    return 200, {"items": items, "next_cursor": following}


async def create_player(given: Document) -> Answer:
    moment = now()
    player = {
        "_id": given["player_id"],
        "birth": uuid.uuid4().hex,
        "username": given["username"],
        "username_key": given["username"].lower(),
        "display_name": given.get("display_name", given["username"]),
        "region": given.get("region"),
        "rating": given.get("rating", 1000),
        "attributes": given.get("attributes", {}),
        "created_at": moment,
        "updated_at": moment,
        "version": 1,
        "write": None,
        "creation": None,
        "session_id": None,
        "claim": None,
        "purge_at": None,
    }
    await players.insert_one(player)
    return 201, shown_player(player)


async def create_session(given: Document) -> Answer:
    moment = now()
    session = {
        "_id": new_id(),
        "birth": uuid.uuid4().hex,
        "name": given["name"],
        "game_mode": given["game_mode"],
        "region": given.get("region"),
        "status": "waiting",
        "visibility": "public",
        "max_players": given["max_players"],
        "min_players": 1,
        "free_slots": given["max_players"],
        "join_in_progress": False,
        "host_player_id": None,
        "members": [],
        "server": None,
        "attributes": given.get("attributes", {}),
        "created_at": moment,
        "updated_at": moment,
        "started_at": None,
        "ended_at": None,
        "version": 1,
        "revision": 1,
        "writes": [],
        "keyed": False,
        "purge_at": None,
    }
    await sessions.insert_one(session)
    return 201, shown_session(session)


async def update_session(session: Document, changes: Document) -> Answer:
    session |= changes
    await write(session)
    return 200, shown_session(session)


async def join(session: Document, player_id: str) -> Answer:
    claim = uuid.uuid4().hex
    await players.update_one(
        {"_id": player_id, "session_id": None},
        {"$set": {"session_id": session["_id"], "claim": claim}},
    )
    member = {"player_id": player_id, "team": None, "ready": False, "joined_at": now()}
    session["members"].append(member | {"claim": claim})
    await write(session)
    return 201, shown_session(session)


async def leave(session: Document, player_id: str) -> Answer:
    claim = next(m["claim"] for m in session["members"] if m["player_id"] == player_id)
    session["members"] = [m for m in session["members"] if m["player_id"] != player_id]
    await write(session)
    await players.update_one(
        {"_id": player_id, "claim": claim}, {"$set": {"session_id": None, "claim": None}}
    )
    return 204, None


async def answer(scope: Scope, receive: Receive) -> Answer:
    method, parts = scope["method"], scope["path"].split("/")[3:]
    if method == "GET":
        if len(parts) == 1:
            return await list_sessions(scope["query_string"])
        return await (get_player if parts[0] == "players" else get_session)(parts[1])
    if method == "POST":
        given = await body_of(receive)
        return await (create_player if parts[0] == "players" else create_session)(given)
    session = await sessions.find_one({"_id": parts[1]})
    if session is None:
        return 404, {}
    if len(parts) == 2:
        return await update_session(session, await body_of(receive))
    return await (join if method == "PUT" else leave)(session, parts[3])


async def lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await client.close()
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    status, document = await answer(scope, receive)
    body = b"" if document is None else orjson.dumps(document)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
