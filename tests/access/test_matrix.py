"""Every operation, by every role, in every relation to what the request is about.

The expectations come from the table of permissions, whose conditions this module reads on its own.
Each case gets fresh players and a fresh session, and makes one real request.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx2
import pytest

from game_api.access import policy
from game_api.access.caller import ROLES
from game_api.access.policy import OPEN, PERMISSIONS, Condition
from tests.access.minting import bearer

RELATIONS = ("self", "host", "member", "outsider", "stranger", "none")
"""What the caller is to the request:

- `self`: the player for whom the request acts, and a member of the session;
- `host`: the host of the session, acting for another member;
- `member`: another member;
- `outsider`: not a member, acting for a member;
- `stranger`: not a member, whose subject can't be the id of a player;
- `none`: nobody, because the request has no token.
"""

PERMITTED: dict[Condition, set[str]] = {
    policy.YES: {"self", "host", "member", "outsider", "stranger"},
    policy.NO: set(),
    policy.SELF: {"self"},
    policy.OWN_ID: {"self"},
    policy.OWN_HOST: {"self"},
    policy.OWN_PARTY: {"self"},
    policy.FILTERED: set(),  # The request of this module lists all players.
    policy.HOST: {"host"},
    policy.SELF_OR_HOST: {"self", "host"},
    policy.SELF_OR_HOST_FOR_TEAM: {"self"},  # The request of this module changes the readiness.
}
"""The relations in which each condition permits the request."""

IN_SESSION = {
    "getSession",
    "updateSession",
    "joinSession",
    "joinSessionAsParty",
    "updateMember",
    "leaveSession",
}
"""The operations on a session, which do not tell outsiders that a private one exists."""

OPERATIONS = [name for name, row in PERMISSIONS.items() if row is not OPEN]
ADMIN = bearer("admin", "admin")
numbers = count()


@dataclass
class Scene:
    """The players and the session of one case. The request acts for `player`."""

    api: httpx2.AsyncClient
    player: str
    host: str
    member: str
    outsider: str
    session: str
    stranger: str = "not the id of a player"

    @classmethod
    async def make(cls, api: httpx2.AsyncClient, visibility: str, operation: str) -> "Scene":
        number = next(numbers)
        player, host, member, outsider = (f"{n}{number}" for n in ("ada", "hal", "mia", "oz"))
        for each in (player, host, member, outsider):
            if (each, operation) != (player, "createPlayer"):
                await made(api, "POST", "/players", {"player_id": each, "username": each})
        session = await made(
            api,
            "POST",
            "/sessions",
            {"name": "x", "game_mode": "duel", "max_players": 8, "visibility": visibility}
            | {"host_player_id": host},
        )
        seated = [member]
        if operation not in ("createPlayer", "createSession", "deletePlayer"):
            seated.append(player)
        for each in seated:
            path = f"/sessions/{session['session_id']}/players/{each}"
            await made(api, "PUT", path, None)
        return cls(api, player, host, member, outsider, session["session_id"])

    def subject(self, relation: str) -> str:
        return str(getattr(self, "player" if relation == "self" else relation))

    def request(self, operation: str) -> tuple[str, str, Any]:
        """The method, the path and the body of a request that is valid in every other respect."""
        player, session = f"/players/{self.player}", f"/sessions/{self.session}"
        new_session = {"name": "x", "game_mode": "duel", "max_players": 8}
        return {
            "createPlayer": (
                "POST",
                "/players",
                {"player_id": self.player, "username": self.player},
            ),
            "listPlayers": ("GET", "/players", None),
            "getPlayer": ("GET", player, None),
            "updatePlayer": ("PUT", player, {"rating": 7}),
            "deletePlayer": ("DELETE", player, None),
            "getPlayerSession": ("GET", f"{player}/session", None),
            "createSession": ("POST", "/sessions", new_session | {"host_player_id": self.player}),
            "listSessions": ("GET", "/sessions", None),
            "getSession": ("GET", session, None),
            "updateSession": ("PUT", session, {"name": "y"}),
            "joinSession": ("PUT", f"{session}{player}", None),
            "joinSessionAsParty": ("POST", f"{session}/players", {"player_ids": [self.player]}),
            "updateMember": ("PATCH", f"{session}{player}", {"ready": True}),
            "leaveSession": ("DELETE", f"{session}{player}", None),
        }[operation]

    async def send(self, operation: str, headers: dict[str, str]) -> httpx2.Response:
        method, path, body = self.request(operation)
        return await self.api.request(method, f"/api/v1{path}", json=body, headers=headers)


async def made(api: httpx2.AsyncClient, method: str, path: str, body: Any) -> dict[str, Any]:
    """Make a change as an admin; returns what it made."""
    response = await api.request(method, f"/api/v1{path}", json=body, headers=ADMIN)
    assert response.is_success, response.text
    found: dict[str, Any] = response.json()
    return found


def expected(operation: str, role: str, relation: str, visibility: str) -> int:
    """The status of the request; 200 stands for any success."""
    if relation == "none":
        return 401
    condition: Condition = getattr(PERMISSIONS[operation], role)
    if condition is policy.NO or (condition.acts and relation == "stranger"):
        return 403
    outside = relation in ("outsider", "stranger")
    if role == "player" and operation in IN_SESSION and visibility == "private" and outside:
        return 404
    return 200 if relation in PERMITTED[condition] else 403


def cases() -> Iterator[tuple[str, str]]:
    for operation in OPERATIONS:
        for visibility in ("public", "private") if operation in IN_SESSION else ("public",):
            yield operation, visibility


@pytest.mark.parametrize(("operation", "visibility"), list(cases()))
async def test_the_permissions(
    guarded: httpx2.AsyncClient, operation: str, visibility: str
) -> None:
    table = []
    for role in ROLES:
        row = []
        for relation in RELATIONS:
            scene = await Scene.make(guarded, visibility, operation)
            headers = {} if relation == "none" else bearer(scene.subject(relation), role)
            response = await scene.send(operation, headers)
            status = 200 if response.is_success else response.status_code
            row.append((relation, status, expected(operation, role, relation, visibility)))
            if status == 404:
                never = await scene.api.get(f"/api/v1/sessions/{scene.session}x", headers=headers)
                assert told(scene, response) == told(scene, never)
        table.append((role, row))
    print(f"\n{operation} ({visibility})")
    for role, row in table:
        print(f"  {role:8}", *(f"{relation} {status}  " for relation, status, _ in row))
    for role, row in table:
        for relation, status, wanted in row:
            assert status == wanted, f"{operation} as {role}, {relation}, {visibility}"


def told(scene: Scene, response: httpx2.Response) -> dict[str, Any]:
    """What a problem document says, as if the path had named the session of the scene."""
    document = json.loads(response.text.replace(f"{scene.session}x", scene.session))
    return {name: value for name, value in document.items() if name != "request_id"}


def test_every_condition_of_the_table_is_read_here() -> None:
    used = {getattr(row, role) for row in PERMISSIONS.values() for role in ROLES}
    assert used <= PERMITTED.keys()


async def test_roles_add_up(guarded: httpx2.AsyncClient) -> None:
    """A game server that is also a player may create its own player, and sessions without host."""
    both = bearer("ada", "server", "player", "painter")
    created = await guarded.post("/api/v1/players", json={"username": "ada"}, headers=both)
    assert (created.status_code, created.json()["player_id"]) == (201, "ada")
    body = {"name": "x", "game_mode": "duel", "max_players": 2}
    session = await guarded.post("/api/v1/sessions", json=body, headers=both)
    assert (session.status_code, session.json()["host_player_id"]) == (201, None)
    other = {"player_id": "bob", "username": "bob"}
    response = await guarded.post("/api/v1/players", json=other, headers=both)
    assert response.status_code == 403


async def test_an_absent_id_is_the_players_own(guarded: httpx2.AsyncClient) -> None:
    ada = bearer("ada", "player")
    created = await guarded.post("/api/v1/players", json={"username": "Ada"}, headers=ada)
    assert (created.status_code, created.json()["player_id"]) == (201, "ada")
    body = {"name": "x", "game_mode": "duel", "max_players": 2}
    session = await guarded.post("/api/v1/sessions", json=body, headers=ada)
    assert (session.status_code, session.json()["host_player_id"]) == (201, "ada")


async def test_a_player_finds_another_one_by_username_only(guarded: httpx2.AsyncClient) -> None:
    await made(guarded, "POST", "/players", {"player_id": "bob", "username": "Bob"})
    ada = bearer("ada", "player")
    found = await guarded.get("/api/v1/players?username=bob", headers=ada)
    assert [player["player_id"] for player in found.json()["items"]] == ["bob"]
    for query in ("", "?limit=1"):
        response = await guarded.get(f"/api/v1/players{query}", headers=ada)
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")


async def test_the_host_changes_the_team_of_others_alone(guarded: httpx2.AsyncClient) -> None:
    scene = await Scene.make(guarded, "public", "updateMember")
    path = f"/api/v1/sessions/{scene.session}/players/{scene.player}"
    host = bearer(scene.host, "player")
    for body, status in (
        ({"team": "red"}, 200),
        ({"ready": True}, 403),
        ({"team": "blue", "ready": True}, 403),
    ):
        response = await guarded.patch(path, json=body, headers=host)
        assert response.status_code == status
    member = bearer(scene.member, "player")
    assert (await guarded.patch(path, json={"team": "blue"}, headers=member)).status_code == 403


async def test_what_a_private_session_answers_to_outsiders(guarded: httpx2.AsyncClient) -> None:
    """The answer is the same as if there were no such session, also with a condition."""
    scene = await Scene.make(guarded, "private", "getSession")
    outsider = bearer(scene.outsider, "player")
    for operation in sorted(IN_SESSION):
        method, path, body = scene.request(operation)
        for player in (scene.player, scene.outsider):
            aim = path.replace(scene.player, player)
            for condition in ({}, {"If-Match": '"99"'}):
                headers = outsider | condition
                known, unknown = [
                    await guarded.request(method, f"/api/v1{p}", json=body, headers=headers)
                    for p in (aim, aim.replace(scene.session, f"{scene.session}x"))
                ]
                assert known.status_code == unknown.status_code == 404
                assert told(scene, known) == told(scene, unknown)
                assert known.headers.keys() == unknown.headers.keys()


async def test_the_order_of_refusals(guarded: httpx2.AsyncClient) -> None:
    """Path and method, the token, the role, the form, the object, and last its state."""
    scene = await Scene.make(guarded, "public", "updateSession")
    path = f"/api/v1/sessions/{scene.session}"
    server, outsider = bearer("server", "server"), bearer(scene.outsider, "player")
    wrong: dict[str, Any] = {"json": {"nonsense": 1}}
    stale = {"If-Match": '"99"'}
    too_large: dict[str, Any] = {
        "content": b"x" * 70_000,
        "headers": {"Content-Type": "application/json"},
    }
    requests: list[tuple[str, str, dict[str, Any], dict[str, str], int]] = [
        ("GET", "/nope", {}, {}, 404),
        ("POST", path, {}, {}, 405),
        ("PUT", path, wrong, {}, 401),
        ("PUT", path, too_large, {}, 401),
        ("GET", "/api/v1/players?nonsense=1", {}, {}, 401),
        ("POST", "/api/v1/players", wrong, server, 403),
        ("POST", "/api/v1/players", too_large, server, 403),
        ("PUT", path, wrong, outsider, 422),
        ("PUT", path, too_large, outsider, 413),
        ("PUT", "/api/v1/players/hal%20", {"json": {}}, outsider, 422),
        ("PUT", f"/api/v1/players/{scene.host}", wrong, outsider, 422),
        ("PUT", f"/api/v1/players/{scene.host}", {"json": {}}, outsider, 403),
        ("PUT", "/api/v1/players/nobody", {"json": {}}, outsider, 403),
        ("PUT", "/api/v1/players/nobody", {"json": {}}, ADMIN, 404),
        ("PUT", f"{path}x", {"json": {}}, outsider, 404),
        ("PUT", path, {"json": {"status": "ended"}}, outsider | stale, 403),
        ("PUT", path, {"json": {"status": "ended"}}, ADMIN | stale, 412),
        ("PUT", path, {"json": {"status": "ended"}}, ADMIN, 409),
    ]
    for method, url, arguments, headers, status in requests:
        given = {**arguments, "headers": {**arguments.get("headers", {}), **headers}}
        response = await guarded.request(method, url, **given)
        assert response.status_code == status, (method, url, arguments)
