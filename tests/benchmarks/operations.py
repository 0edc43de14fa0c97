"""The operations: what one client asks for, one request after the other.

A request carries the token of the player whom it is about. The host of a session changes its
status, a game server creates sessions, and a backend of the studio creates players.
"""

import json
import random
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache
from itertools import count, repeat
from typing import Any, NamedTuple

from tests.access.minting import token
from tests.benchmarks import documents
from tests.benchmarks.documents import LISTED_SESSIONS, host_of, session_id

SERVER = "a-game-server"
BACKEND = "a-backend"
ROLES = {SERVER: "server", BACKEND: "admin"}
"""The roles of these subjects; all others have the role `player`."""
STRIDE = 7
"""Clients that read the same documents begin this far apart."""


class Request(NamedTuple):
    """The bytes to send, the status of the right answer, and whether a client may stop after it."""

    data: bytes
    status: int
    whole: bool = True


class Newcomer(NamedTuple):
    """A player to create. The token is new to the server, but made before the clock starts."""

    player_id: str
    token: str


class Client(NamedTuple):
    """One of the clients of a run. No two of them change the same documents."""

    number: int
    newcomers: deque[Newcomer]


def newcomers(run: int, number: int) -> deque[Newcomer]:
    """Players who do not exist yet; `run` distinguishes them from those of other runs."""
    ids = (f"{documents.NEW_PLAYER}{run:012x}-{n:05}" for n in range(number))
    return deque(Newcomer(player_id, token(player_id, "player")) for player_id in ids)


@cache
def known_token(subject: str) -> str:
    return token(subject, ROLES.get(subject, "player"))


def encode(method: str, path: str, bearer: str, body: Any = None) -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: benchmark\r\nAccept: */*\r\n"
        f"Authorization: Bearer {bearer}\r\n"
    )
    if body is None:
        return f"{head}\r\n".encode()
    content = json.dumps(body).encode()
    head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


@cache
def get(path: str, subject: str) -> Request:
    return Request(encode("GET", path, known_token(subject)), 200)


def get_player(client: Client) -> Iterator[Request]:
    for n in count(client.number * STRIDE):
        player_id = f"p{n % documents.READ_PLAYERS}"
        yield get(f"/api/v1/players/{player_id}", player_id)


def get_session(client: Client, numbers: range) -> Iterator[Request]:
    for n in count(client.number * STRIDE):
        number = numbers[n % len(numbers)]
        yield get(f"/api/v1/sessions/{session_id(number)}", host_of(number))


def get_session_8(client: Client) -> Iterator[Request]:
    return get_session(client, documents.SESSIONS_OF_8)


def get_session_64(client: Client) -> Iterator[Request]:
    return get_session(client, documents.SESSIONS_OF_64)


def new_player(player_id: str, bearer: str) -> Request:
    body = {
        "player_id": player_id,
        "username": player_id,
        "region": "eu-central-1",
        "rating": 1300,
        "attributes": {"level": 5, "title": "Captain"},
    }
    return Request(encode("POST", "/api/v1/players", bearer, body), 201)


def create_player(client: Client) -> Iterator[Request]:
    while True:
        yield new_player(client.newcomers.popleft().player_id, known_token(BACKEND))


def sign_up(client: Client) -> Iterator[Request]:
    """Players create themselves, so that the service verifies a new token each time."""
    while True:
        yield new_player(*client.newcomers.popleft())


def create_session(client: Client) -> Iterator[Request]:
    body = {
        "name": "Friday duel",
        "game_mode": documents.NEW_MODE,
        "max_players": 16,
        "region": "eu-central-1",
        "attributes": {"map": "harbour", "level": 5},
    }
    request = Request(encode("POST", "/api/v1/sessions", known_token(SERVER), body), 201)
    while True:
        yield request


def join_leave(client: Client) -> Iterator[Request]:
    player_id = f"j{client.number}"
    path = f"/api/v1/sessions/{session_id(documents.JOINED_SESSIONS[client.number])}/players"
    join = encode("PUT", f"{path}/{player_id}", known_token(player_id))
    leave = encode("DELETE", f"{path}/{player_id}", known_token(player_id))
    while True:
        yield Request(join, 201, whole=False)
        yield Request(leave, 204)


def status(client: Client) -> Iterator[Request]:
    number = documents.UPDATED_SESSIONS[client.number]
    path, bearer = f"/api/v1/sessions/{session_id(number)}", known_token(host_of(number))
    start = encode("PUT", path, bearer, {"status": "starting"})
    wait = encode("PUT", path, bearer, {"status": "waiting"})
    while True:
        yield Request(start, 200, whole=False)
        yield Request(wait, 200)


def ready(client: Client) -> Iterator[Request]:
    """A member changes a field of its own: the smallest write there is, as a heartbeat would be."""
    number = documents.UPDATED_SESSIONS[client.number]
    player_id = f"m{number}-1"
    path = f"/api/v1/sessions/{session_id(number)}/players/{player_id}"
    bearer = known_token(player_id)
    yes, no = (encode("PATCH", path, bearer, {"ready": value}) for value in (True, False))
    while True:
        yield Request(yes, 200, whole=False)
        yield Request(no, 200)


def list_sessions(client: Client) -> Iterator[Request]:
    path = "/api/v1/sessions?game_mode=ranked&status=waiting&limit=20"
    while True:
        yield get(path, f"j{client.number}")


LISTS = {
    "list": "sessions",
    "list_game_mode": "sessions?game_mode=ranked",
    "list_no_region": "sessions?region=nowhere",
    "list_no_free_slots": "sessions?min_free_slots=256",
    "list_no_attribute": "sessions?attribute=level:none",
    "list_joinable": "sessions?joinable=true",
    "list_host": f"sessions?host_player_id={host_of(LISTED_SESSIONS[0])}",
    "list_waiting": "sessions?status=waiting",
    "list_expired": "sessions?status=expired",
    "list_ended": "sessions?status=ended",
    "list_players": "players",
    "list_username": "players?username=User-p0",
}
"""Lists of which the first page is read. Those that begin with `list_no` match no session."""


def listed(path: str) -> Callable[[Client], Iterator[Request]]:
    """The operation of a client that reads a list again and again."""

    return lambda client: repeat(get(f"/api/v1/{path}", SERVER))


MIX = ((get_player, 40), (get_session_8, 25), (list_sessions, 10), (join_leave, 5), (status, 5)) + (
    (create_player, 5),
    (create_session, 5),
)
"""How often each operation is chosen. A join is followed by leaving, and each status by another."""


def mix(client: Client) -> Iterator[Request]:
    """40 % of the time GET player, 25 % GET session, 10 % the list, and 25 % writes."""
    choice = random.Random(client.number)
    operations = [operation(client) for operation, _ in MIX]
    weights = [weight for _, weight in MIX]
    while True:
        (chosen,) = choice.choices(operations, weights)
        request = next(chosen)
        while not request.whole:
            yield request
            request = next(chosen)
        yield request


OPERATIONS: dict[str, Callable[[Client], Iterator[Request]]] = {
    operation.__name__: operation
    for operation in (
        get_player,
        get_session_8,
        get_session_64,
        create_player,
        sign_up,
        create_session,
        join_leave,
        status,
        list_sessions,
        mix,
    )
}
UNCOMPARED = {ready.__name__: ready} | {name: listed(path) for name, path in LISTS.items()}
"""Operations that the peers do not have."""
