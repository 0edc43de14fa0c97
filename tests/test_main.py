"""The process: what it prints, its exit codes, and how it ends."""

import http.client
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.service import Service, alive, wait_for_end

Start = Callable[..., Service]
PLAYER = {"username": "ada", "player_id": "ada"}


def test_it_says_where_it_listens_and_what_to_try_first(start_service: Start) -> None:
    service = start_service(GAME_API_LOG_FORMAT="console").wait_until_ready()
    address = service.address
    assert re.search(rf"^game-api \S+ listens on {address}$", service.output, re.M)
    assert re.search(rf"^  docs   {address}/docs$", service.output, re.M)
    found = re.search(r"^  try    (curl .*\\\n.*)$", service.output, re.M)
    assert found
    answer = subprocess.run(["bash", "-c", found[1]], capture_output=True, text=True, check=True)
    assert '"username":"ada"' in answer.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_the_database_with_it(
    start_service: Start, number: signal.Signals
) -> None:
    service = start_service().wait_until_ready()
    database = service.database_process()
    httpx2.post(f"{service.address}/api/v1/players", json=PLAYER)
    service.process.send_signal(number)
    assert service.wait() == 0, service.output
    assert not alive(database)
    again = start_service().wait_until_ready()
    assert httpx2.get(f"{again.address}/api/v1/players/ada").status_code == 200


def test_the_database_dies_with_a_killed_service(start_service: Start) -> None:
    service = start_service().wait_until_ready()
    database = service.database_process()
    service.kill()
    assert wait_for_end(database)
    start_service().wait_until_ready()  # nothing is left in its way


def test_a_request_in_flight_is_finished_before_the_end(start_service: Start) -> None:
    """Even on Ctrl-C, which goes to every process of the group: the database must not hear it."""
    service = start_service().wait_until_ready()
    host, port = service.address.removeprefix("http://").split(":")
    body = b'{"username": "ada"}'
    head = (
        "POST /api/v1/players HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + body[:5])
        time.sleep(0.3)
        os.killpg(service.process.pid, signal.SIGINT)
        time.sleep(0.5)
        connection.sendall(body[5:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 201 Created")
    assert service.wait() == 0, service.output
    assert "database died" not in service.output


def test_requests_that_never_end_are_cut_after_the_timeout(start_service: Start) -> None:
    service = start_service(GAME_API_SHUTDOWN_TIMEOUT="1").wait_until_ready()
    host, port = service.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /api/v1/players HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        time.sleep(0.3)
        assert service.terminate() == 0, service.output
        answer = connection.recv(65536).decode()
    assert answer.startswith("HTTP/1.1 503 ") and '"code":"shutting_down"' in answer
    assert "x-request-id: " in answer and "Traceback" not in service.output


def test_readiness_ends_before_serving_does(start_service: Start) -> None:
    service = start_service(GAME_API_SHUTDOWN_DELAY="1").wait_until_ready()
    with httpx2.Client(base_url=service.address) as client:
        assert client.get("/health/ready").status_code == 200
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        response = client.get("/health/ready")
        assert (response.status_code, response.json()["code"]) == (503, "shutting_down")
        assert client.post("/api/v1/players", json=PLAYER).status_code == 201
    assert service.wait() == 0, service.output


def test_connections_end_with_an_answer_before_serving_ends(start_service: Start) -> None:
    """A client that keeps its connection never sends a request on one that is being closed."""
    service = start_service(GAME_API_SHUTDOWN_DELAY="3").wait_until_ready()
    host, port = service.address.removeprefix("http://").split(":")
    kept = http.client.HTTPConnection(host, int(port))
    assert ask(kept).getheader("connection") is None
    service.process.send_signal(signal.SIGTERM)
    for wait in (0.2, 1.5):  # uvicorn makes its headers anew each second
        time.sleep(wait)
        answer = ask(kept)
        assert (answer.status, answer.getheader("connection")) == (200, "close")
        assert kept.sock is None  # the next one is on a new connection
    assert service.wait() == 0, service.output


def test_idle_connections_are_kept_for_longer_than_load_balancers_do(start_service: Start) -> None:
    with start_service() as service:
        host, port = service.address.removeprefix("http://").split(":")
        kept = http.client.HTTPConnection(host, int(port))
        ask(kept)
        first = kept.sock
        assert first is not None
        time.sleep(6)  # uvicorn's own patience is 5 s
        ask(kept)
        assert kept.sock is first


def ask(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    connection.request("GET", "/health")
    answer = connection.getresponse()
    answer.read()
    return answer


def test_a_second_signal_ends_the_waiting(start_service: Start) -> None:
    service = start_service(GAME_API_SHUTDOWN_DELAY="60").wait_until_ready()
    started = time.monotonic()
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert service.terminate() == 0, service.output
    assert time.monotonic() - started < 30
    assert "Traceback" not in service.output


def test_a_port_in_use_is_told_and_nothing_is_started(start_service: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = start_service(GAME_API_PORT=str(port))
        assert service.wait() == 1
    assert service.output == (
        f"game-api: can't listen on 127.0.0.1:{port}: Address already in use; "
        "set GAME_API_HOST or GAME_API_PORT\n"
    )
    assert not (tmp_path / "data").exists()


def test_data_in_use_by_another_run_is_told(start_service: Start) -> None:
    first = start_service().wait_until_ready()
    second = start_service()
    assert second.wait() == 1
    assert f"is in use by another run (process {first.process.pid})" in second.output
    assert "Traceback" not in second.output
    assert httpx2.get(f"{first.address}/health/ready").status_code == 200


def test_bad_settings_are_one_line_each_and_exit_2(start_service: Start, tmp_path: Path) -> None:
    service = start_service(GAME_API_PORT="x", GAME_API_ENVIRONMENT="nowhere")
    assert service.wait() == 2
    lines = service.output.splitlines()
    assert len(lines) == 2 and all(line.startswith("game-api: GAME_API_") for line in lines)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "options", ["minPoolSize=50", "authMechanism=SCRAM-SHA-256", "tls=true&tlsCAFile=/etc/passwd"]
)
def test_options_that_the_driver_refuses_are_bad_settings(options: str) -> None:
    service = Service({"GAME_API_MONGODB_URI": f"mongodb://127.0.0.1:1/?{options}"})
    assert service.wait() == 2
    assert service.output.startswith("game-api: GAME_API_MONGODB_URI: ")
    assert len(service.lines) == 1


def test_ipv6_is_an_address_like_any_other(start_service: Start) -> None:
    service = start_service(GAME_API_HOST="::1").wait_until_ready()
    assert service.address.startswith("http://[::1]:")
    assert httpx2.get(f"{service.address}/health").status_code == 200


def test_indexes_are_created_by_a_command_that_can_be_repeated(uri: str) -> None:
    for _ in range(2):
        service = Service({"GAME_API_MONGODB_URI": uri}, "create-indexes")
        assert service.wait() == 0, service.output
        assert "players.username_key\n" in service.output


def test_indexes_that_can_not_be_created_are_told() -> None:
    # checkov:skip=CKV_SECRET_4:made up
    uri = "mongodb://user:hunter2@127.0.0.1:1/"
    service = Service({"GAME_API_MONGODB_URI": uri}, "create-indexes")
    assert service.wait() == 1
    assert service.output.startswith("game-api: can't create the indexes: ")
    assert "hunter2" not in service.output


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_and_version_need_no_settings(arguments: tuple[str, ...]) -> None:
    service = Service({"GAME_API_PORT": "x"}, *arguments)
    assert service.wait() == 0 and "game-api" in service.output


def test_the_database_is_gone_and_comes_back(start_service: Start) -> None:
    """Hung: 503 within five seconds, and Retry-After. Back: the same process carries on."""
    service = start_service().wait_until_ready()
    with httpx2.Client(base_url=service.address, timeout=20) as client:
        session = client.post(
            "/api/v1/sessions", json={"name": "s", "game_mode": "duel", "max_players": 2}
        ).json()
        path = f"/api/v1/sessions/{session['session_id']}"
        database = service.database_process()
        os.kill(database, signal.SIGSTOP)
        slowest = 0.0
        answers: list[httpx2.Response] = []

        def ask(method: str, target: str, body: object) -> None:
            nonlocal slowest
            started = time.monotonic()
            with httpx2.Client(base_url=service.address, timeout=20) as other:
                answers.append(other.request(method, target, json=body))
            slowest = max(slowest, time.monotonic() - started)

        def after(pause: float, act: Callable[..., None], arguments: tuple[Any, ...]) -> None:
            time.sleep(pause)
            act(*arguments)

        requests: list[tuple[str, str, object]] = [
            ("POST", "/api/v1/players", PLAYER),
            ("GET", "/api/v1/players", None),
            ("PUT", path, {"name": "one"}),
            ("PUT", path, {"name": "two"}),
            ("PUT", f"{path}/players/ada", {}),
            ("GET", path, None),
        ]
        threads = [threading.Thread(target=ask, args=request) for request in requests]
        late = ("PUT", path, {"name": "late"})
        threads += [threading.Thread(target=after, args=(pause, ask, late)) for pause in (2, 3.5)]
        for thread in threads:
            thread.start()
        assert client.get("/health").status_code == 200
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/detailed").json()["components"]["database"]["status"] == "down"
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [503] * 8
        assert all(a.json()["code"] == "database_unavailable" for a in answers)
        assert all(int(a.headers["retry-after"]) >= 1 for a in answers)
        assert slowest < 5
        os.kill(database, signal.SIGCONT)
        deadline = time.monotonic() + 20
        while client.get("/health/ready").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert client.put(path, json={"name": "three"}).status_code == 200
        assert service.terminate() == 0, service.output
