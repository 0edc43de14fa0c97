"""What the service answers to requests that no HTTP client would send."""

import http.client
import re
import socket

import pytest

from tests.http.wire import Wire, chunked, request
from tests.service import Service

HEALTH = request("GET", "/health")
START = "GET /health HTTP/1.1\r\nHost: a\r\n"
POST = "POST /api/v1/players HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
TE = "Transfer-Encoding: chunked\r\n"

NOT_HTTP = {
    "text": b"hello world\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /health\r\n\r\n",
    "another version": b"GET /health HTTP/2.0\r\nHost: a\r\n\r\n",
    "an unknown method": b"BREW /health HTTP/1.1\r\nHost: a\r\n\r\n",
    "a line that is folded": f"{START}X: a\r\n b\r\n\r\n".encode(),
    "LF without CR": b"GET /health HTTP/1.1\nHost: a\n\n",
    "LF without CR in a header": f"{START}X: a\nY: b\r\n\r\n".encode(),
    "CR without LF": f"{START}X: a\rY: b\r\n\r\n".encode(),
    "NUL in a header": f"{START}X: a\0b\r\n\r\n".encode(),
    "NUL in the name of a header": f"{START}X\0: a\r\n\r\n".encode(),
    "NUL in the path": b"GET /health\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space before the colon": f"{START}X : a\r\n\r\n".encode(),
    "a header without a colon": f"{START}X\r\n\r\n".encode(),
    "bytes that are not ASCII in the path": b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
}

HOSTS = {
    "none": "",
    "two": "Host: a\r\nHost: a\r\n",
    "a space": "Host: a b\r\n",
    "a path": "Host: a/b\r\n",
    "a user": "Host: u@a\r\n",
    "no number as a port": "Host: a:b\r\n",
}

AMBIGUOUS_BODIES = {
    "Content-Length and Transfer-Encoding": f"{POST}Content-Length: 5\r\n{TE}\r\n0\r\n\r\n",
    "Transfer-Encoding and Content-Length": f"{POST}{TE}Content-Length: 5\r\n\r\n0\r\n\r\n",
    "the same Content-Length twice": f"{POST}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{{}}",
    "two values of Content-Length": f"{POST}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}",
    "a list in Content-Length": f"{POST}Content-Length: 2, 2\r\n\r\n{{}}",
    "a sign in Content-Length": f"{POST}Content-Length: +2\r\n\r\n{{}}",
    "a negative Content-Length": f"{POST}Content-Length: -2\r\n\r\n{{}}",
    "a Content-Length that overflows": f"{POST}Content-Length: {10**30}\r\n\r\n{{}}",
    "an empty Content-Length": f"{POST}Content-Length:\r\n\r\n{{}}",
    "chunked, identity": f"{POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "identity": f"{POST}Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "gzip, chunked": f"{POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding that ends in chunked": f"{POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": f"{POST}{TE}{TE}\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": f"{POST}{TE}\r\n0\r\n\r\n".replace("1.1", "1.0"),
    "a vertical tab before chunked": f"{POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a negative chunk size": f"{POST}{TE}\r\n-1\r\n{{}}\r\n0\r\n\r\n",
    "a chunk size that overflows": f"{POST}{TE}\r\n{'f' * 17}\r\n{{}}\r\n0\r\n\r\n",
    "a chunk size with a prefix": f"{POST}{TE}\r\n0x2\r\n{{}}\r\n0\r\n\r\n",
    "a chunk that is longer than its size": f"{POST}{TE}\r\n1\r\n{{}}\r\n0\r\n\r\n",
    "a chunk size that ends in LF": f"{POST}{TE}\r\n2\n{{}}\r\n0\r\n\r\n",
    "a chunk extension that ends in LF": f"{POST}{TE}\r\n2;a\n{{}}\r\n0\r\n\r\n",
    "Content-Length in the trailer": f"{POST}{TE}\r\n0\r\nContent-Length: 5\r\n\r\n",
}

REFUSED = (
    NOT_HTTP
    | {f"Host: {k}": f"GET /health HTTP/1.1\r\n{v}\r\n".encode() for k, v in HOSTS.items()}
    | {name: text.encode("latin-1") for name, text in AMBIGUOUS_BODIES.items()}
)


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_that_is_not_valid_http_is_refused(service: Service, case: str) -> None:
    """Nothing that follows it is read as a request."""
    for segments in ([REFUSED[case] + HEALTH], [REFUSED[case], HEALTH]):
        with Wire(service) as wire:
            wire.send(*segments)
            wire.answer().assert_refusal(400, "bad_request")
            wire.assert_closed()


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_before_an_invalid_one_is_answered_first(service: Service, case: str) -> None:
    with Wire(service) as wire:
        wire.send(request("GET", "/api/v1/players/nobody") + REFUSED[case])
        assert wire.answer().status == 404
        wire.answer().assert_refusal(400, "bad_request")
        wire.assert_closed()


def test_a_refusal_is_logged_with_the_request_id_of_the_client(service: Service) -> None:
    with Wire(service) as wire:
        answer = wire.exchange(b"GET /a?secret HTTP/1.1\r\nX-Request-ID: refused-1\r\n\r\n")
    assert answer.headers["x-request-id"] == "refused-1"
    service.wait_until(lambda: '"refused-1"' in service.output)
    (line,) = [line for line in service.lines if "refused-1" in line]
    expected = '"method":"GET","path":"/a","route":"unmatched","status":400'
    assert expected in line and "secret" not in line


@pytest.mark.parametrize(
    "head",
    [
        "GET /health HTTP/1.0\r\n",
        "GET /health HTTP/1.0\r\nHost: a\r\n",
        "GET /health HTTP/1.1\r\nHost:\r\n",
        "GET /health HTTP/1.1\r\nHost: a \t\r\n",
        "GET /health HTTP/1.1\r\nHost: [::1]:8000\r\n",
        "GET /health HTTP/1.1\r\nhost: players.game-api.example:443\r\n",
        "\r\nGET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    ],
)
def test_a_valid_host_is_accepted(service: Service, head: str) -> None:
    with Wire(service) as wire:
        assert wire.exchange(f"{head}\r\n".encode()).status == 200


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/api/v1/players/a%2Fb", 422, "validation_error"),
        ("/api/v1/players/a%2fb", 422, "validation_error"),
        ("/api/v1/sessions/a%2Fplayers", 422, "validation_error"),
        ("/api%2Fv1/players", 404, "not_found"),
        ("/api/v1/pl%61yers/nobody", 404, "player_not_found"),
        ("http://game-api/api/v1/players/nobody", 404, "player_not_found"),
        ("https://user@game-api:8000/api/v1/players/nobody?x=1", 422, "validation_error"),
        ("http://game-api/no", 404, "not_found"),
        ("http:///health", 400, "bad_request"),
        ("*", 400, "bad_request"),
        ("health", 400, "bad_request"),
    ],
)
def test_every_form_of_a_target_is_answered(
    service: Service, target: str, status: int, code: str
) -> None:
    with Wire(service) as wire:
        answer = wire.exchange(request("GET", target))
        assert (answer.status, answer.json["code"]) == (status, code)


def test_a_target_may_be_a_url_without_a_path(service: Service) -> None:
    with Wire(service) as wire:
        expected = wire.exchange(request("GET", "/"))
        assert wire.exchange(request("GET", "http://game-api")).status == expected.status != 400


def test_options_of_the_server_has_no_body(service: Service) -> None:
    with Wire(service) as wire:
        answer = wire.exchange(request("OPTIONS", "*"))
        assert answer.status == 204 and answer.headers["x-request-id"]
        assert wire.exchange(HEALTH).status == 200


@pytest.mark.parametrize("path", ["/health", "/api/v1/players/nobody", "/nope", "/openapi.json"])
@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_the_next_response_follows_that_to_head_or_options(
    service: Service, method: str, path: str
) -> None:
    with Wire(service) as wire:
        wire.send(request(method, path) + HEALTH)
        assert wire.answer(to_head=method == "HEAD").headers["x-request-id"]
        assert wire.answer().json["status"] == "ok"


def test_a_trailer_is_not_merged_into_the_head(service: Service) -> None:
    trailer = b"0\r\nX-Request-ID: trailer\r\nContent-Type: text/plain\r\n\r\n"
    with Wire(service) as wire:
        body = chunked(f"{POST}{TE}\r\n", b'{"username": "trailer"}').removesuffix(b"0\r\n\r\n")
        # The service reads the head before the trailer arrives, and the body after that.
        answer = wire.exchange(body + trailer)
        assert answer.status == 201
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_a_client_that_has_closed_its_sending_direction_gets_its_response(
    service: Service,
) -> None:
    with Wire(service) as wire:
        wire.send(request("GET", "/api/v1/players/nobody") * 2)
        wire.socket.shutdown(socket.SHUT_WR)
        assert [wire.answer().status for _ in range(2)] == [404, 404]
        wire.assert_closed()


def test_a_client_that_closes_its_sending_direction_during_a_response_gets_all_of_it(
    service: Service,
) -> None:
    """The file has many parts, more than the buffers of the sockets hold."""
    with Wire(service) as wire:
        wire.send(request("GET", "/docs/assets/swagger-ui-bundle.js"))
        status_line = wire.file.readline()
        wire.socket.shutdown(socket.SHUT_WR)
        length = int(http.client.parse_headers(wire.file)["content-length"])
        assert status_line.startswith(b"HTTP/1.1 200") and length > 1_000_000
        assert len(wire.file.read()) == length


def test_a_body_that_nobody_reads_is_skipped(service: Service) -> None:
    with Wire(service) as wire:
        wire.send(b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
        wire.send(b" " * 100_000, b" " * 100_000, b" " * 100_000 + HEALTH)
        assert [wire.answer().status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(("path", "statuses"), [("/nope", [404]), ("/api/v1/players", [100, 422])])
def test_a_request_that_expects_100_is_the_last_on_its_connection(
    service: Service, path: str, statuses: list[int]
) -> None:
    """The client may leave the body out, and the next request could be taken for it."""
    with Wire(service) as wire:
        wire.send(request("POST", path, "Expect: 100-continue", body=b"{}").removesuffix(b"{}"))
        first = wire.answer()
        wire.send(b"{}" if first.status == 100 else HEALTH)
        answers = [first] if first.status != 100 else [first, wire.answer()]
        assert [answer.status for answer in answers] == statuses
        assert answers[-1].headers["connection"] == "close"
        wire.assert_closed()


def test_the_answer_to_a_large_body_is_not_lost(service: Service) -> None:
    """The service discards the rest for a while instead of resetting the connection."""
    with Wire(service) as wire:
        wire.send(f"{POST}Content-Length: 8000000\r\n\r\n".encode())
        wire.send(b" " * 8_000_000)
        answer = wire.answer()
        assert (answer.status, answer.json["code"]) == (413, "body_too_large")
        wire.assert_closed()
