"""One service process for all tests of a module."""

from collections.abc import Iterator

import pytest

from tests.service import Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("service") / "data"
    with Service({"GAME_API_PORT": "0", "GAME_API_DATA_DIR": str(data)}) as service:
        yield service
