"""The service as a process: its output, its exit codes, and how it starts and stops."""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pymongo import MongoClient

from game_api.database.embedded import embedded_database
from tests.http.wire import Wire, request
from tests.service import Service, alive, wait_for_end
from tests.waiting import wait_until

Start = Callable[..., Service]
PLAYER = {"username": "ada", "player_id": "ada"}
CREATE_PLAYER = request("POST", "/api/v1/players", body=json.dumps(PLAYER).encode())
GET_HEALTH = request("GET", "/health")


def test_the_welcome_message_shows_the_address_and_a_command_that_works(
    start_service: Start,
) -> None:
    service = start_service(GAME_API_LOG_FORMAT="console").wait_until_ready()
    address = service.address
    assert re.search(rf"^game-api \S+ listens on {address}$", service.output, re.M)
    assert re.search(rf"^  docs   {address}/docs$", service.output, re.M)
    command = re.search(r"^  try    (curl .*\\\n.*)$", service.output, re.M)
    assert command
    result = subprocess.run(["bash", "-c", command[1]], capture_output=True, text=True, check=True)
    assert '"username":"ada"' in result.stdout


@contextmanager
def inherited_sighup(action: signal.Handlers) -> Iterator[None]:
    """What a process that is started here does at SIGHUP; the tests may run under `nohup`."""
    previous = signal.signal(signal.SIGHUP, action)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_stops_the_service_and_its_database_with_exit_code_0(
    start_service: Start, number: signal.Signals
) -> None:
    with inherited_sighup(signal.SIG_DFL):
        service = start_service().wait_until_ready()
    database = service.database_process()
    httpx2.post(f"{service.address}/api/v1/players", json=PLAYER)
    service.process.send_signal(number)
    assert service.wait() == 0, service.output
    assert not alive(database)
    restarted = start_service().wait_until_ready()
    assert httpx2.get(f"{restarted.address}/api/v1/players/ada").status_code == 200


def test_a_service_that_was_started_by_nohup_ignores_sighup(start_service: Start) -> None:
    with inherited_sighup(signal.SIG_IGN):
        service = start_service().wait_until_ready()
    service.process.send_signal(signal.SIGHUP)
    assert httpx2.get(f"{service.address}/health/ready").status_code == 200
    assert service.terminate() == 0


def test_the_embedded_database_ends_when_the_service_is_killed(start_service: Start) -> None:
    service = start_service().wait_until_ready()
    database = service.database_process()
    service.kill()
    assert wait_for_end(database)
    start_service().wait_until_ready()  # The data directory is no longer locked.


@contextmanager
def suspended(process_id: int) -> Iterator[None]:
    """Suspend a process: its connections stay open, but it does not respond."""
    os.kill(process_id, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process_id, signal.SIGCONT)


def test_a_request_in_flight_is_finished_before_the_service_stops(start_service: Start) -> None:
    """Ctrl-C signals the whole process group, so the database must not be in that group."""
    service = start_service().wait_until_ready()
    database = service.database_process()
    assert os.getpgid(database) != service.process.pid
    with Wire(service) as wire:
        with suspended(database):
            wire.send(CREATE_PLAYER)
            os.killpg(service.process.pid, signal.SIGINT)
            service.wait_until(lambda: "Waiting for connections to close" in service.output)
        assert wire.answer().status == 201
    assert service.wait() == 0, service.output
    assert "database died" not in service.output


def test_an_unfinished_request_gets_503_after_the_shutdown_timeout(start_service: Start) -> None:
    service = start_service(GAME_API_SHUTDOWN_TIMEOUT="1").wait_until_ready()
    with Wire(service) as wire, suspended(service.database_process()):
        wire.send(CREATE_PLAYER)
        service.process.send_signal(signal.SIGTERM)
        wire.answer().assert_refusal(503, "shutting_down")
    assert service.wait() == 0, service.output
    assert "Traceback" not in service.output


def test_half_received_requests_do_not_delay_the_shutdown(start_service: Start) -> None:
    service = start_service(GAME_API_SHUTDOWN_TIMEOUT="300").wait_until_ready()
    with Wire(service) as idle, Wire(service) as head, Wire(service) as body:
        idle.send(GET_HEALTH)
        assert idle.answer().status == 200
        head.send(CREATE_PLAYER[:40])
        body.send(CREATE_PLAYER[:-5])
        service.process.send_signal(signal.SIGTERM)
        for wire in (head, body):
            wire.answer().assert_refusal(503, "shutting_down")
        for wire in (idle, head, body):
            wire.assert_closed()
    assert service.wait() == 0, service.output


def test_the_service_still_serves_after_readiness_has_ended(start_service: Start) -> None:
    service = start_service(GAME_API_SHUTDOWN_DELAY="1").wait_until_ready()
    service.wait_for_readiness(200)
    service.process.send_signal(signal.SIGTERM)
    assert service.wait_for_readiness(503).json()["code"] == "shutting_down"
    response = httpx2.post(f"{service.address}/api/v1/players", json=PLAYER)
    assert response.status_code == 201
    assert service.wait() == 0, service.output


def get_health(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    connection.request("GET", "/health")
    response = connection.getresponse()
    response.read()
    return response


def test_responses_close_their_connections_before_the_service_stops(start_service: Start) -> None:
    """Otherwise a client may send a request on a connection that is just being closed."""
    service = start_service(GAME_API_SHUTDOWN_DELAY="3").wait_until_ready()
    connection = http.client.HTTPConnection(*service.host_and_port)
    assert get_health(connection).getheader("connection") is None
    service.process.send_signal(signal.SIGTERM)
    service.wait_for_readiness(503)

    def date_of_closing_response() -> str | None:
        response = get_health(connection)
        assert (response.status, response.getheader("connection")) == (200, "close")
        assert connection.sock is None  # The next request opens a new connection.
        return response.getheader("date")

    # uvicorn renews its default headers every second, with the current date among them.
    first = date_of_closing_response()
    service.wait_until(lambda: date_of_closing_response() != first)
    assert service.wait() == 0, service.output


def test_an_idle_connection_is_kept_longer_than_the_default_of_uvicorn(
    start_service: Start,
) -> None:
    with start_service() as service:
        connection = http.client.HTTPConnection(*service.host_and_port)
        get_health(connection)
        socket_before = connection.sock
        assert socket_before is not None
        # The idle time itself is tested: by default, uvicorn closes the connection after 5 s.
        time.sleep(6)
        get_health(connection)
        assert connection.sock is socket_before


def test_a_second_signal_ends_the_shutdown_delay(start_service: Start) -> None:
    service = start_service(GAME_API_SHUTDOWN_DELAY="60").wait_until_ready()
    started = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    service.wait_for_readiness(503)
    assert service.terminate() == 0, service.output
    assert time.monotonic() - started < 30
    assert "Traceback" not in service.output


def test_a_port_in_use_is_reported_before_anything_is_started(
    start_service: Start, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other_server:
        port = other_server.getsockname()[1]
        service = start_service(GAME_API_PORT=str(port))
        assert service.wait() == 1
    assert service.output == (
        f"game-api: can't listen on 127.0.0.1:{port}: Address already in use; "
        "set GAME_API_HOST or GAME_API_PORT\n"
    )
    assert not (tmp_path / "data").exists()


def test_a_data_directory_in_use_is_reported(start_service: Start) -> None:
    first = start_service().wait_until_ready()
    second = start_service()
    assert second.wait() == 1
    assert f"is in use by game-api process {first.process.pid};" in second.output
    assert "Traceback" not in second.output
    assert httpx2.get(f"{first.address}/health/ready").status_code == 200


def test_each_invalid_setting_is_one_line_and_the_exit_code_is_2(
    start_service: Start, tmp_path: Path
) -> None:
    service = start_service(
        GAME_API_PORT="x", GAME_API_ENVIRONMENT="nowhere", GAME_API_MONGODB_URL="mongodb://h/"
    )
    assert service.wait() == 2
    lines = service.output.splitlines()
    assert len(lines) == 3 and all(line.startswith("game-api: GAME_API_") for line in lines)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "options", ["minPoolSize=50", "authMechanism=SCRAM-SHA-256", "tls=true&tlsCAFile=/etc/passwd"]
)
def test_options_that_the_driver_rejects_are_invalid_settings(options: str) -> None:
    service = Service({"GAME_API_MONGODB_URI": f"mongodb://127.0.0.1:1/?{options}"})
    assert service.wait() == 2
    assert service.output.startswith("game-api: GAME_API_MONGODB_URI: ")
    assert len(service.lines) == 1


@pytest.mark.parametrize("uri", ["mongodb+srv://h.example:1/", "mongodb+srv://a.test,b.test/"])
def test_a_malformed_name_is_an_invalid_setting(uri: str) -> None:
    service = Service({"GAME_API_MONGODB_URI": uri})
    assert service.wait() == 2
    assert service.output.startswith("game-api: GAME_API_MONGODB_URI: mongodb+srv://")


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_the_service_can_listen_on_an_ipv6_address(start_service: Start, host: str) -> None:
    service = start_service(GAME_API_HOST=host).wait_until_ready()
    assert service.address.startswith("http://[::1]:")
    assert httpx2.get(f"{service.address}/health").status_code == 200


def test_brackets_without_an_ipv6_address_are_an_invalid_setting() -> None:
    service = Service({"GAME_API_HOST": "[localhost]"})
    assert service.wait() == 2
    assert service.output.startswith("game-api: GAME_API_HOST: ") and len(service.lines) == 1


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_the_service_runs_without_standard_streams(tmp_path: Path, closed: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["sh", "-c", f'exec "$0" -m game_api {closed}', sys.executable],
        env=os.environ | {"GAME_API_PORT": str(port), "GAME_API_DATA_DIR": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )

    def responds() -> bool:
        with suppress(httpx2.TransportError):
            return httpx2.get(f"http://127.0.0.1:{port}/health").status_code == 200
        return process.poll() is not None

    wait_until(responds)
    process.terminate()
    assert process.communicate()[1] == "" and process.returncode == 0


def test_the_command_that_creates_the_indexes_can_be_repeated(uri: str) -> None:
    for _ in range(2):
        service = Service({"GAME_API_MONGODB_URI": uri}, "create-indexes")
        assert service.wait() == 0, service.output
        assert "players.username_key\n" in service.output


def test_every_index_that_can_not_be_created_is_reported(uri: str) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        players = client.get_default_database().players
        players.insert_many([{"_id": n, "username_key": "zed"} for n in range(2)])
    service = Service({"GAME_API_MONGODB_URI": uri}, "create-indexes")
    assert service.wait() == 1
    assert "sessions.newest\n" in service.output
    assert service.lines[-1] == (
        "game-api: the index players.username_key can't be created: "
        "2 documents have the username_key 'zed'\n"
    )


def test_a_service_whose_embedded_database_lacks_a_unique_index_is_not_ready(
    start_service: Start, tmp_path: Path
) -> None:
    """Two players have usernames that differ only in case, so the index can't be created."""
    zed = {"display_name": "Zed", "rating": 1, "attributes": {}, "username_key": "zed"}

    async def add_players() -> None:
        async with embedded_database(tmp_path / "data") as database:
            with MongoClient[dict[str, Any]](database.uri) as client:
                players = client.get_database("game").players
                players.insert_many(
                    [{"_id": name, "username": name, **zed} for name in ("Zed", "ZED")]
                )

    asyncio.run(add_players())
    service = start_service().wait_until_ready()
    missing = "The unique index players.username_key is missing: run game-api create-indexes."
    for _ in range(2):
        ready = httpx2.get(f"{service.address}/health/ready")
        assert (ready.status_code, ready.json()["detail"]) == (503, missing)
        assert ready.headers["retry-after"] == "1"
    database = httpx2.get(f"{service.address}/health/detailed").json()["components"]["database"]
    assert (database["status"], database["detail"]) == ("down", missing)
    assert service.terminate() == 0
    assert service.output.count(f"this process is not ready: {missing}") == 1
    command = Service({"GAME_API_DATA_DIR": str(tmp_path / "data")}, "create-indexes")
    assert command.wait() == 1
    assert "sessions.purge\n" in command.output
    assert command.lines[-1] == (
        "game-api: the index players.username_key can't be created: "
        "2 documents have the username_key 'zed'\n"
    )


def test_a_service_becomes_ready_when_the_command_has_created_the_indexes(
    start_service: Start, uri: str
) -> None:
    service = start_service(GAME_API_MONGODB_URI=uri).wait_until_ready()
    for _ in range(2):
        assert httpx2.get(f"{service.address}/health/ready").status_code == 503
    assert Service({"GAME_API_MONGODB_URI": uri}, "create-indexes").wait() == 0
    assert httpx2.get(f"{service.address}/health/ready").status_code == 200
    assert service.output.count("this process is not ready") == 1


def test_a_failure_to_create_the_indexes_is_reported_without_the_password() -> None:
    # checkov:skip=CKV_SECRET_4:made up
    uri = "mongodb://user:hunter2@127.0.0.1:1/"
    service = Service({"GAME_API_MONGODB_URI": uri}, "create-indexes")
    assert service.wait() == 1
    assert service.output.startswith("game-api: can't create the indexes: ")
    assert "hunter2" not in service.output


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_and_version_need_no_valid_settings(arguments: tuple[str, ...]) -> None:
    service = Service({"GAME_API_PORT": "x"}, *arguments)
    assert service.wait() == 0 and "game-api" in service.output


def send(
    service: Service, method: str, path: str, body: object, delay: float = 0
) -> tuple[httpx2.Response, float]:
    """Send a request after `delay` seconds; returns the response, and the seconds that it took."""
    time.sleep(delay)
    started = time.monotonic()
    response = httpx2.request(method, f"{service.address}{path}", json=body, timeout=20)
    return response, time.monotonic() - started


def test_while_the_database_hangs_every_request_gets_503_within_five_seconds(
    start_service: Start,
) -> None:
    """The same process serves requests again when the database has recovered."""
    service = start_service(GAME_API_METRICS_PORT="0").wait_until_ready()
    body = {"name": "s", "game_mode": "duel", "max_players": 2}
    session = httpx2.post(f"{service.address}/api/v1/sessions", json=body).json()
    path = f"/api/v1/sessions/{session['session_id']}"
    requests: list[tuple[str, str, object, float]] = [
        ("POST", "/api/v1/players", PLAYER, 0),
        ("GET", "/api/v1/players", None, 0),
        ("PUT", path, {"name": "one"}, 0),
        ("PUT", path, {"name": "two"}, 0),
        ("PUT", f"{path}/players/ada", {}, 0),
        ("GET", path, None, 0),
        # These arrive when the first changes of the session have waited for most of their 4 s.
        ("PUT", path, {"name": "three"}, 2),
        ("PUT", path, {"name": "four"}, 3.5),
    ]
    with suspended(service.database_process()), ThreadPoolExecutor(len(requests)) as pool:
        pending = [pool.submit(send, service, *arguments) for arguments in requests]
        with httpx2.Client(base_url=service.address, timeout=20) as client:
            assert client.get("/health").status_code == 200
            assert client.get("/health/ready").status_code == 503
            health = client.get("/health/detailed").json()
            assert health["components"]["database"]["status"] == "down"
        for answer in pending:
            response, seconds = answer.result()
            assert (response.status_code, response.json()["code"]) == (503, "database_unavailable")
            assert int(response.headers["retry-after"]) >= 1
            assert seconds < 5
    metrics = re.search(r"Prometheus at (http://[^\s\"]+/metrics)", service.output)
    assert metrics
    joins = 'game_session_joins_total{outcome="database_unavailable"} 1.0'
    assert joins in httpx2.get(metrics[1]).text
    service.wait_for_readiness(200)
    assert httpx2.put(f"{service.address}{path}", json={"name": "five"}).status_code == 200
    assert service.terminate() == 0, service.output
