"""Requests to the endpoints of sessions."""

from typing import Any

import httpx2

Api = httpx2.AsyncClient
PATH = "/api/v1/sessions"


def path_of(session: dict[str, Any]) -> str:
    return f"{PATH}/{session['session_id']}"


async def add_players(api: Api, *player_ids: str) -> None:
    for player_id in player_ids:
        body = {"username": f"user-{player_id}", "player_id": player_id}
        assert (await api.post("/api/v1/players", json=body)).status_code == 201


async def create_session(api: Api, **fields: Any) -> dict[str, Any]:
    """Create a session; `fields` replace the defaults."""
    body = {"name": "Friday duel", "game_mode": "duel", "max_players": 4} | fields
    response = await api.post(PATH, json=body)
    assert response.status_code == 201, response.text
    session: dict[str, Any] = response.json()
    return session


async def update(api: Api, session: dict[str, Any], **changes: Any) -> httpx2.Response:
    return await api.put(path_of(session), json=changes)


async def join(api: Api, session: dict[str, Any], player_id: str) -> httpx2.Response:
    return await api.put(f"{path_of(session)}/players/{player_id}")


async def leave(api: Api, session: dict[str, Any], player_id: str) -> httpx2.Response:
    return await api.delete(f"{path_of(session)}/players/{player_id}")


def error(response: httpx2.Response) -> tuple[int, str]:
    """The status and the code of an error response."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["code"]
