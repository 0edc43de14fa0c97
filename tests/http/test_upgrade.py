"""An offer to upgrade the protocol changes nothing about a request."""

import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from uuid import uuid4

import httpx2
import pytest

from tests.http.wire import Wire, request
from tests.service import Service

OFFERS = {
    "h2c": ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"],
    "h2c in lower case": ["connection: upgrade", "upgrade: h2c"],
    "after keep-alive": ["Connection: keep-alive, Upgrade", "Upgrade: h2c"],
    "two Connection headers": ["Connection: keep-alive", "Upgrade: h2c", "Connection: Upgrade"],
    "two Upgrade headers": ["Upgrade: h2c", "Connection: upgrade", "Upgrade: websocket"],
    "a list": ["Connection: Upgrade", "Upgrade: TLS/1.0, h2c, foo/2"],
    "websocket": [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ],
    "without Connection": ["Upgrade: h2c"],
    "without Upgrade": ["Connection: Upgrade"],
    "empty": ["Connection: Upgrade", "Upgrade:"],
    "none": [],
}

Parts = tuple[bytes, bytes]
"""The head and the encoded body of a request."""
Form = Callable[[bytes, bytes], list[bytes]]
"""How head and body are divided into segments."""

FORMS: dict[str, Form] = {
    "one segment": lambda head, body: [head + body],
    "the body later": lambda head, body: [head, body],
    "the body in two later segments": lambda head, body: [head, body[:9], body[9:]],
    "a part of the body later": lambda head, body: [head + body[:9], body[9:]],
    "the end of the head later": lambda head, body: [head[:-1], head[-1:] + body],
    "one byte at a time": lambda head, body: [bytes([byte]) for byte in head + body],
}


def parts(method: str, path: str, offer: list[str], body: object = None, size: int = 0) -> Parts:
    """A request with an offer. The body has chunks of `size`, or Content-Length if that is 0."""
    lines = [f"{method} {path} HTTP/1.1", "Host: game-api", *offer]
    content = b"" if body is None else json.dumps(body).encode()
    if body is not None:
        lines.append("Content-Type: application/json")
        lines.append("Transfer-Encoding: chunked" if size else f"Content-Length: {len(content)}")
    if size:
        chunks = [content[start : start + size] for start in range(0, len(content), size)]
        content = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return "\r\n".join([*lines, "", ""]).encode(), content


@pytest.fixture(scope="module")
def session(service: Service) -> str:
    """The path of a session."""
    body = {"name": "s", "game_mode": "duel", "max_players": 256}
    created = httpx2.post(f"{service.address}/api/v1/sessions", json=body).json()
    return f"/api/v1/sessions/{created['session_id']}"


@pytest.mark.parametrize("size", [0, 7], ids=["content-length", "chunked"])
@pytest.mark.parametrize(
    ("offer", "form"),
    [
        (offer, form)
        for offer, form in itertools.product(OFFERS, FORMS)
        # One byte at a time takes a second, and shows nothing new for the other offers.
        if form != "one byte at a time" or offer in ("h2c", "websocket", "none")
    ],
)
def test_a_request_with_an_offer_is_answered_as_without_it(
    service: Service, session: str, offer: str, form: str, size: int
) -> None:
    headers, divide = OFFERS[offer], FORMS[form]
    pause = 0.0005 if form == "one byte at a time" else 0.01
    name = f"p{uuid4().hex[:20]}"
    player = f"/api/v1/players/{name}"
    with Wire(service) as wire:

        def send(method: str, path: str, body: object = None) -> None:
            wire.send(
                *divide(*parts(method, path, headers, body, size if body else 0)), pause=pause
            )

        send("POST", "/api/v1/players", {"username": name, "player_id": name, "rating": 7})
        created = wire.answer()
        assert (created.status, created.json["rating"]) == (201, 7)
        send("PUT", f"{session}/players/{name}", {"team": "red"})
        joined = wire.answer()
        teams = {member["player_id"]: member["team"] for member in joined.json["members"]}
        assert (joined.status, teams[name]) == (201, "red")
        send("GET", player)
        found = wire.answer()
        assert (found.status, found.body) == (200, created.body)
        send("DELETE", f"{session}/players/{name}")
        assert wire.answer().status == 204
        # The connection is still in step.
        wire.send(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert wire.answer().json["status"] == "ok"
        wire.assert_closed()


@pytest.mark.parametrize("offer", OFFERS)
def test_pipelined_requests_with_offers_are_answered_in_order(service: Service, offer: str) -> None:
    names = [f"p{uuid4().hex[:20]}" for _ in range(3)]
    plain, offered = OFFERS["none"], OFFERS[offer]
    requests: list[Parts] = []
    for number, name in enumerate(names):
        body = {"username": name, "player_id": name}
        requests += [
            parts("GET", "/health", plain),
            parts("POST", "/api/v1/players", offered, body, size=7 * (number % 2)),
            parts("GET", f"/api/v1/players/{name}", offered),
            parts("DELETE", f"/api/v1/players/{name}", plain),
        ]
    stream = b"".join(head + body for head, body in requests)
    for segments in ([stream], [stream[start : start + 97] for start in range(0, len(stream), 97)]):
        with Wire(service) as wire:
            wire.send(*segments, pause=0.002)
            answers = [wire.answer() for _ in requests]
            assert [answer.status for answer in answers] == [200, 201, 200, 204] * 3
            assert [answer.json["player_id"] for answer in answers[1::4]] == names
            wire.send(b"".join(parts("GET", "/health", ["Connection: close"])))
            assert wire.answer().status == 200
            wire.assert_closed()


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("later", [False, True])
def test_a_body_is_never_read_as_a_request(service: Service, offer: str, later: bool) -> None:
    name = f"p{uuid4().hex[:20]}"
    inner = json.dumps({"username": name, "player_id": name})
    smuggled = (
        f"POST /api/v1/players HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(inner)}\r\n\r\n{inner}"
    )
    head = "\r\n".join(
        [
            "POST /api/v1/players HTTP/1.1",
            "Host: game-api",
            *OFFERS[offer],
            "Content-Type: application/json",
            f"Content-Length: {len(smuggled)}",
            "",
            "",
        ]
    )
    with Wire(service) as wire:
        segments = [head.encode(), smuggled.encode()]
        wire.send(*segments if later else [b"".join(segments)])
        answer = wire.answer()
        assert (answer.status, answer.json["errors"][0]["type"]) == (422, "json_invalid")
        wire.send(b"".join(parts("GET", f"/api/v1/players/{name}", ["Connection: close"])))
        assert wire.answer().json["code"] == "player_not_found"
        wire.assert_closed()


def test_a_closing_request_with_an_offer_closes_the_connection(service: Service) -> None:
    offer = ["Connection: close, Upgrade", "Upgrade: h2c"]
    with Wire(service) as wire:
        answer = wire.exchange(*parts("GET", "/health", offer))
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        wire.assert_closed()


@pytest.mark.parametrize("target", ["game-api:443", "127.0.0.1:80"])
def test_connect_is_refused_and_closes_the_connection(service: Service, target: str) -> None:
    with Wire(service) as wire:
        wire.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\nGET / HTTP/1.1\r\n".encode())
        wire.answer().assert_refusal(400, "bad_request")
        wire.assert_closed()


def test_curl_that_offers_http2_creates_a_player(service: Service) -> None:
    curl = shutil.which("curl")
    if curl is None or "HTTP2" not in subprocess.check_output([curl, "--version"], text=True):
        missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        missing("curl with HTTP/2 is missing: apt-get install curl")
    name = f"p{uuid4().hex[:20]}"
    command = [curl, "-sS", "--http2", "--json", json.dumps({"username": name})]
    output = subprocess.check_output([*command, f"{service.address}/api/v1/players"], text=True)
    assert json.loads(output)["username"] == name


OFFER = "Connection: Upgrade\r\nUpgrade: h2c\r\n"
REFUSED_OFFERS = {
    "no Host": f"GET /health HTTP/1.1\r\n{OFFER}\r\n",
    "two Hosts": f"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n{OFFER}\r\n",
    "an invalid port in the target": f"GET http://x:99999/ HTTP/1.1\r\nHost: a\r\n{OFFER}\r\n",
    "a target that is only for OPTIONS": f"GET * HTTP/1.1\r\nHost: a\r\n{OFFER}\r\n",
    "an unknown transfer coding": "POST /api/v1/players HTTP/1.1\r\nHost: a\r\n"
    f"Transfer-Encoding: gzip, chunked\r\n{OFFER}\r\n",
}


@pytest.mark.parametrize("case", REFUSED_OFFERS)
def test_an_invalid_request_with_an_offer_is_refused_after_those_before_it(
    service: Service, case: str
) -> None:
    with Wire(service) as wire:
        before = request("GET", "/health") * 20
        wire.send(before + REFUSED_OFFERS[case].encode())
        assert [wire.answer().status for _ in range(20)] == [200] * 20
        wire.answer().assert_refusal(400, "bad_request")
        wire.assert_closed()
