"""The embedded database: starts, stops, dies with its parent, and says why it can't run."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from game_api import embedded
from game_api.database import connect
from game_api.embedded import EmbeddedDatabase, EmbeddedDatabaseError, embedded_database
from tests.service import wait_for_end


async def test_it_keeps_its_data_from_run_to_run(tmp_path: Path) -> None:
    for run in range(2):
        async with embedded_database(tmp_path / "data") as database:
            assert database.process
            process_id = database.process.pid
            async with connect(database.uri) as client:
                runs = client.game.runs
                assert await runs.count_documents({}) == run
                await runs.insert_one({"_id": run})
        assert wait_for_end(process_id)


async def test_it_is_started_again_when_it_dies_and_has_lost_nothing(tmp_path: Path) -> None:
    async with embedded_database(tmp_path) as database, connect(database.uri) as client:
        for number in range(40):
            await client.game.things.insert_one({"_id": number})
        assert database.process
        first = database.process.pid
        os.kill(first, signal.SIGKILL)
        for _ in range(200):
            await asyncio.sleep(0.05)
            if database.process.pid != first:
                break
        assert await client.game.things.count_documents({}) == 40


async def test_a_directory_in_use_is_named_with_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LOCK_SECONDS", 0.2)
    async with embedded_database(tmp_path):
        with pytest.raises(EmbeddedDatabaseError) as error:
            await EmbeddedDatabase(tmp_path).start()
        assert str(error.value) == (
            f"{tmp_path} is in use by another run (process {os.getpid()}); stop it, or set "
            "GAME_API_DATA_DIR to another directory"
        )


async def test_a_port_taken_meanwhile_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    ports = [taken.sockets[0].getsockname()[1], embedded.free_port()]
    monkeypatch.setattr(embedded, "free_port", lambda: ports.pop(0))
    async with taken, embedded_database(tmp_path) as database:
        assert not ports and database.port


async def test_a_directory_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedDatabaseError, match="can't keep the embedded database in"):
        await EmbeddedDatabase(tmp_path / "file" / "data").start()


async def test_files_that_are_not_its_own_are_told(tmp_path: Path) -> None:
    (tmp_path / "database").mkdir()
    (tmp_path / "database" / "WiredTiger").write_text("nonsense")
    (tmp_path / "database" / "WiredTiger.turtle").write_text("nonsense")
    database = EmbeddedDatabase(tmp_path)
    with pytest.raises(EmbeddedDatabaseError, match="could not start: .*database.log"):
        await database.start()
    (tmp_path / "database" / "WiredTiger").unlink()
    (tmp_path / "database" / "WiredTiger.turtle").unlink()
    async with embedded_database(tmp_path):  # the lock was given back
        pass


async def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> Any:
        return None

    monkeypatch.setattr("importlib.util.find_spec", nothing)
    with pytest.raises(EmbeddedDatabaseError, match=r"pip install 'game-api\[local\]'"):
        await EmbeddedDatabase(tmp_path).start()
