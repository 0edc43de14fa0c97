"""A full disk: requests get 503, no acknowledged write is lost, and the service recovers by itself.

The disk is a small file system in memory. Mounting it requires root.
"""

import os
import subprocess
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import httpx2
import pytest

from tests.service import Service

Start = Callable[..., Service]

DISK_MB = 32
ATTRIBUTES = {f"key{number}": "x" * 700 for number in range(20)}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which a test can fill."""
    directory = tmp_path / "disk"
    directory.mkdir()
    size = f"size={DISK_MB}m"
    try:
        mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(directory)]
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        reason = "a file system can't be mounted: run this test as root on Linux"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    yield directory
    subprocess.run(["umount", "--lazy", directory], check=True)


def fill(disk: Path) -> Path:
    """Use up all space with a file; returns its path."""
    filler = disk / "filler"
    with filler.open("wb") as file, pytest.raises(OSError, match="No space left on device"):
        while True:
            file.write(bytes(64 * 1024))
            file.flush()
    return filler


def test_the_service_survives_a_full_disk(start_service: Start, disk: Path) -> None:
    data = disk / "data"
    service = start_service(GAME_API_DATA_DIR=str(data)).wait_until_ready()
    first = service.database_process()
    acknowledged = []
    with httpx2.Client(base_url=service.address, timeout=20) as client:

        def add_player(name: str) -> httpx2.Response:
            player = {"username": name, "player_id": name, "attributes": ATTRIBUTES}
            return client.post("/api/v1/players", json=player)

        filler = fill(disk)
        for number in count():  # What the database has allocated before has room for some more.
            response = add_player(f"player-{number}")
            if response.status_code != 201:
                break
            acknowledged.append(f"player-{number}")
        assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
        assert int(response.headers["retry-after"]) >= 1
        service.wait_for_readiness(503)
        service.wait_until(lambda: "the embedded database could not start" in service.output)
        assert client.get("/health").status_code == 200
        assert add_player("while-it-is-full").status_code == 503
        assert client.get("/health/ready").status_code == 503
        filler.unlink()
        service.wait_for_readiness(200)
        assert service.database_process() != first
        assert acknowledged
        for name in acknowledged:
            assert client.get(f"/api/v1/players/{name}").status_code == 200
        assert add_player("later").status_code == 201
    assert service.terminate() == 0, service.output
    assert "the storage of the embedded database has failed: the disk is full" in service.output
    assert "the embedded database was restarted" in service.output
    assert " 500," not in service.output and "Traceback" not in service.output


@pytest.mark.parametrize("free_kib", [0, 116])
def test_a_start_on_a_full_disk_is_reported(
    start_service: Start, disk: Path, free_kib: int
) -> None:
    """With 116 KiB the database starts, but has no room for the collections and indexes."""
    (disk / "data").mkdir()
    filler = fill(disk)
    os.truncate(filler, filler.stat().st_size - free_kib * 1024)
    service = start_service(GAME_API_DATA_DIR=str(disk / "data"))
    assert service.wait() == 1
    assert "Traceback" not in service.output
    reason = "can't prepare the embedded database: " if free_kib else "No space left on device"
    assert service.lines[-1].startswith("game-api: ") and reason in service.lines[-1]
