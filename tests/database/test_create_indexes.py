"""The time that `game-api create-indexes` has: more than a request, but not unlimited."""

import asyncio

import pytest
from pydantic import SecretStr

from game_api import __main__ as command_line
from game_api.__main__ import CommandError, make_indexes
from game_api.database.embedded import EmbeddedDatabase
from game_api.runtime import Runtime
from game_api.settings import Settings
from tests.chaos.relay import Aim, PartitionKind, Relay, running_relay
from tests.service import Service
from tests.waiting import wait_until_async


async def settings_for(relay: Relay, options: str = "") -> Settings:
    """Settings for the database behind the relay."""
    link = await relay.add_link()
    return Settings(mongodb_uri=SecretStr(link.uri("create_indexes") + options))


async def test_an_index_may_take_longer_than_a_request_may(
    server: EmbeddedDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_relay(server.port) as relay:
        settings = await settings_for(relay, "&timeoutMS=2000")
        aim = relay.arm(Aim("delay", name="createIndexes", seconds=2.5))
        await make_indexes(Runtime(settings))
    assert len(aim.faults) == 1 and "players.username_key" in capsys.readouterr().out


async def test_an_index_that_takes_too_long_fails_the_command(
    server: EmbeddedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_line, "INDEX_SECONDS", 0.5)
    async with running_relay(server.port) as relay:
        settings = await settings_for(relay)
        aim = relay.arm(Aim("hold", name="createIndexes", seconds=60))
        command = asyncio.create_task(make_indexes(Runtime(settings)))
        with pytest.raises(CommandError, match="can't create the indexes: "):
            await command
        assert aim.faults and not aim.faults[0].finished.is_set()
        relay.disarm()


@pytest.mark.parametrize("partition", ["reset", "lost answers"])
async def test_the_command_waits_for_a_database_that_can_not_be_reached_yet(
    server: EmbeddedDatabase, partition: PartitionKind
) -> None:
    async with running_relay(server.port) as relay:
        link = await relay.add_link()
        link.cut_off(partition)
        uri = link.uri(f"waits_{partition.replace(' ', '_')}")
        command = Service({"GAME_API_MONGODB_URI": uri}, "create-indexes", "--wait=60")
        await wait_until_async(lambda: "waiting for the database: " in command.output)
        assert command.process.poll() is None
        link.heal()
        assert await asyncio.to_thread(command.wait) == 0, command.output
        assert "players.username_key\n" in command.output


def test_the_command_waits_no_longer_than_it_may() -> None:
    uri = "mongodb://127.0.0.1:1/"
    command = Service({"GAME_API_MONGODB_URI": uri}, "create-indexes", "--wait=6")
    assert command.wait() == 1
    assert command.output.count("waiting for the database: ") in (1, 2)
    assert command.lines[-1].startswith("game-api: can't create the indexes: ")
