"""The embedded database: its start, its restart after a failure, and its error messages."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from game_api.database import embedded
from game_api.database.client import connect
from game_api.database.embedded import EmbeddedDatabase, EmbeddedDatabaseError, embedded_database
from tests.service import wait_for_end
from tests.waiting import wait_until_async


def process_id(database: EmbeddedDatabase) -> int:
    assert database.process
    return database.process.pid


async def test_the_data_survives_a_restart(tmp_path: Path) -> None:
    for run in range(2):
        async with embedded_database(tmp_path / "data") as database:
            process = process_id(database)
            async with connect(database.uri) as client:
                runs = client.game.runs
                assert await runs.count_documents({}) == run
                await runs.insert_one({"_id": run})
        assert wait_for_end(process)


async def test_a_killed_database_is_restarted_and_loses_no_data(tmp_path: Path) -> None:
    async with embedded_database(tmp_path) as database, connect(database.uri) as client:
        for number in range(40):
            await client.game.things.insert_one({"_id": number})
        first = process_id(database)
        os.kill(first, signal.SIGKILL)
        await wait_until_async(lambda: process_id(database) != first)
        assert await client.game.things.count_documents({}) == 40


async def test_a_directory_in_use_is_reported_with_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LOCK_SECONDS", 0.2)
    async with embedded_database(tmp_path):
        with pytest.raises(EmbeddedDatabaseError) as error:
            await EmbeddedDatabase(tmp_path).start()
        assert str(error.value) == (
            f"{tmp_path} is in use by game-api process {os.getpid()}; stop it or set "
            "GAME_API_DATA_DIR to another directory"
        )


async def test_a_port_that_another_program_takes_first_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    ports = [other_server.sockets[0].getsockname()[1], embedded.free_port()]
    monkeypatch.setattr(embedded, "free_port", lambda: ports.pop(0))
    async with other_server, embedded_database(tmp_path) as database:
        assert not ports and database.port


async def test_a_directory_that_can_not_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedDatabaseError, match="can't keep the embedded database in"):
        await EmbeddedDatabase(tmp_path / "file" / "data").start()


async def test_files_of_another_program_are_reported(tmp_path: Path) -> None:
    (tmp_path / "database").mkdir()
    (tmp_path / "database" / "WiredTiger").write_text("nonsense")
    (tmp_path / "database" / "WiredTiger.turtle").write_text("nonsense")
    database = EmbeddedDatabase(tmp_path)
    with pytest.raises(EmbeddedDatabaseError, match="could not start: .*database.log"):
        await database.start()
    (tmp_path / "database" / "WiredTiger").unlink()
    (tmp_path / "database" / "WiredTiger.turtle").unlink()
    async with embedded_database(tmp_path):  # The lock was released.
        pass


async def test_a_missing_package_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_no_package(name: str) -> Any:
        return None

    monkeypatch.setattr("importlib.util.find_spec", find_no_package)
    with pytest.raises(EmbeddedDatabaseError, match=r"pip install 'game-api\[local\]'"):
        await EmbeddedDatabase(tmp_path).start()
