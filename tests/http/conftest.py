"""The service as a process for all tests of a module, and its server in this process."""

import threading
from collections.abc import Callable, Iterator

import pytest
import uvicorn

from game_api.app import create_app
from game_api.http.protocol import Http11Protocol
from game_api.runtime import Runtime
from tests.service import Service
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("service") / "data"
    with Service({"GAME_API_PORT": "0", "GAME_API_DATA_DIR": str(data)}) as service:
        yield service
        assert "Traceback" not in service.output


class LocalServer:
    """The server in a thread of this process, where tests can shorten its times."""

    def __init__(self, runtime: Runtime, uri: str, keep_alive: int) -> None:
        config = uvicorn.Config(
            create_app(runtime, uri),
            http=Http11Protocol,
            ws="none",
            loop="uvloop",
            port=0,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=keep_alive,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        wait_until(lambda: self.server.started)

    @property
    def host_and_port(self) -> tuple[str, int]:
        host, port = self.server.servers[0].sockets[0].getsockname()
        return host, port

    def connections(self) -> list[Http11Protocol]:
        return [c for c in self.server.server_state.connections if isinstance(c, Http11Protocol)]

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()


@pytest.fixture
def serve(runtime: Runtime, service_database: str) -> Iterator[Callable[..., LocalServer]]:
    """Starts a server in this process (`serve(keep_alive=75)`) and stops it afterwards."""
    started: list[LocalServer] = []

    def start(keep_alive: int = 75) -> LocalServer:
        started.append(LocalServer(runtime, service_database, keep_alive))
        return started[-1]

    yield start
    for server in started:
        server.stop()
