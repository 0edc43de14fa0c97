"""Fill a lobby, start the match, and end it.

GAME_API_URL=http://127.0.0.1:8000 python lobby.py

If the service needs a token, set GAME_API_TOKEN to one of the role `admin`.
"""

import asyncio
import os
import uuid

from game_api_client import AsyncGameApi, SessionFull

URL = os.environ.get("GAME_API_URL", "http://127.0.0.1:8000")
TOKEN = os.environ.get("GAME_API_TOKEN")
RUN = uuid.uuid4().hex[:8]


async def main() -> None:
    async with AsyncGameApi(URL, token=TOKEN) as api:
        names = [f"{name}-{RUN}" for name in ("ada", "bob", "cleo")]
        players = await asyncio.gather(*(api.create_player(username=name) for name in names))
        ada, bob, cleo = [player["player_id"] for player in players]
        print(f"created the players {', '.join(names)}")

        lobby = await api.create_session(
            name="Friday duel",
            game_mode=f"duel-{RUN}",
            max_players=2,
            min_players=2,
            host_player_id=ada,
            attributes={"map": "harbour"},
        )
        session_id = lobby["session_id"]
        print(f"ada created the lobby {lobby['name']!r} with {lobby['free_slots']} free slot")

        async for found in api.sessions(game_mode=lobby["game_mode"], joinable=True):
            print(f"bob found {found['name']!r} on the map {found['attributes']['map']}")
        await api.join_session(session_id, bob)
        print("bob joined")
        try:
            await api.join_session(session_id, cleo)
        except SessionFull as error:
            print(f"cleo could not join: {error.code}")

        for player_id in (ada, bob):
            lobby = await api.update_member(session_id, player_id, ready=True)
        print(f"ready: {all(member['ready'] for member in lobby['members'])}")
        lobby = await api.update_session(session_id, if_match=lobby["version"], status="starting")
        match = await api.update_session(
            session_id, status="active", server={"address": "192.0.2.1", "port": 7777}
        )
        print(f"the match is {match['status']} on {match['server']}")
        match = await api.update_session(session_id, status="ended")
        print(f"the match ended at {match['ended_at']}")


if __name__ == "__main__":
    asyncio.run(main())
