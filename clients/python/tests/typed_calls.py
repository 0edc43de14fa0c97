"""What type checkers accept and refuse; `mypy` reports an ignored error that does not occur."""

from game_api_client import AsyncGameApi, GameApi, Player, PlayerUpdate, Session


def calls(api: GameApi) -> None:
    player: Player = api.create_player(username="ada", region=None, attributes={"level": 5})
    api.create_player(display_name="Ada")  # type: ignore[call-arg]  # Needs a username.
    api.create_player(username="ada", rating="high")  # type: ignore[arg-type]  # Not a number.
    api.update_player("ada", region=None, if_match=player["version"])
    api.update_player("ada", rating=None)  # type: ignore[arg-type]  # A rating cannot be null.
    api.update_player("ada", regoin="eu")  # type: ignore[call-arg]  # A misspelt field.
    changes: PlayerUpdate = {"rating": 1200}
    api.update_player("ada", **changes)
    player["nickname"]  # type: ignore[typeddict-item]  # A player has no such member.
    read: Player = api.get_player("ada")
    read = api.get_player("ada", if_none_match=1)  # type: ignore[assignment]  # It may be None.
    if (changed := api.get_player("ada", if_none_match=1)) is not None:
        read = changed
    print(read["username"])
    api.update_session("s", status="paused")  # type: ignore[arg-type]  # There is no such status.
    api.update_session("s", server={"address": "192.0.2.1", "port": 7777})
    sessions: list[Session] = list(api.sessions(status=["waiting"], attributes={"ranked": True}))
    print(sessions)
    api.sessions(mode="duel")  # type: ignore[call-arg]  # There is no such filter.


async def async_calls(api: AsyncGameApi) -> None:
    player: Player = await api.get_player("ada")
    player = api.get_player("ada")  # type: ignore[assignment]  # It is not awaited.
    print(player)
    async for session in api.sessions(joinable=True):
        print(session["members"][0]["player_id"])
