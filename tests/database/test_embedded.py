"""The embedded database: its start, its restart after a failure, and its error messages."""

import asyncio
import os
import signal
import socket
import sys
import venv
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


def take_first(monkeypatch: pytest.MonkeyPatch, reservation: socket.socket) -> None:
    """Let the next database use this port at first, although somebody listens on it already."""
    ports = [reservation.dup(), embedded.reserve_port()]
    monkeypatch.setattr(embedded, "reserve_port", lambda: ports.pop(0))


async def test_a_port_that_another_program_takes_first_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedded.reserve_port() as reservation:
        port = reservation.getsockname()[1]
        other_server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
        take_first(monkeypatch, reservation)
        async with other_server, embedded_database(tmp_path) as database:
            assert database.port != port


async def test_the_database_of_another_process_is_never_taken_for_the_own_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has taken the port first, and responds before the own one notices that."""
    async with embedded_database(tmp_path / "other") as other:
        async with connect(other.uri) as client:
            await client.game.things.insert_one({"_id": "other"})
        assert other._port is not None
        take_first(monkeypatch, other._port)
        async with embedded_database(tmp_path / "own") as database:
            assert database.port != other.port
            async with connect(database.uri) as client:
                assert await client.game.things.count_documents({}) == 0


async def test_nobody_gets_the_port_while_the_database_is_being_restarted(tmp_path: Path) -> None:
    database = EmbeddedDatabase(tmp_path)
    await database.start()
    process = process_id(database)
    os.kill(process, signal.SIGKILL)
    assert wait_for_end(process)
    with socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
        other.bind(("127.0.0.1", database.port))
    await database.stop()


async def test_the_database_runs_on_an_interpreter_without_its_scripts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interpreter finds the packages, but they were installed elsewhere."""
    venv.create(tmp_path / "bare", symlinks=True, with_pip=False)
    (packages,) = (tmp_path / "bare").glob("lib/python*/site-packages")
    paths = [path for path in sys.path if "packages" in path]
    (packages / "elsewhere.pth").write_text("\n".join(paths))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare" / "bin" / "python"))
    assert not list((tmp_path / "bare").glob("bin/secantusd*"))
    async with embedded_database(tmp_path / "data") as database:
        process = Path(f"/proc/{process_id(database)}/cmdline").read_bytes()
        assert process.startswith(bytes(tmp_path / "bare"))


async def test_a_directory_may_begin_with_a_dash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with embedded_database(Path("-x")):
        assert (tmp_path / "-x" / "database").is_dir()


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
