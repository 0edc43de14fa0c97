"""Published keys: rotation, and providers that are away, slow or wrong."""

import asyncio
import json
import logging
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from game_api.access import published
from game_api.access.errors import KeysUnavailable, Unauthenticated
from tests.access.provider import Provider, SigningKey, claims, self_signed, send
from tests.access.verification import accepts, authenticating, signed
from tests.waiting import WAIT_SECONDS, wait_until_async

OLD, NEW = SigningKey.rsa("old"), SigningKey.ec("new")
KEY_SET = json.dumps({"keys": [OLD.jwk()]}).encode()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer than three seconds for a provider on a slow machine."""
    monkeypatch.setattr(published, "FETCH_SECONDS", WAIT_SECONDS)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch the keys again much more often."""
    monkeypatch.setattr(published, "REFRESH_SECONDS", 0.05)
    monkeypatch.setattr(published, "UNKNOWN_SECONDS", 0.05)
    monkeypatch.setattr(published, "FIRST_RETRY", 0.05)
    monkeypatch.setattr(published, "LONGEST_RETRY", 0.1)


async def test_a_new_key_is_found_at_the_first_token_that_names_it() -> None:
    with Provider([OLD.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())
            provider.keys.append(NEW.jwk())
            assert await accepts(authenticator, NEW.token())
            assert await accepts(authenticator, OLD.token())
            assert provider.requests == 2


async def test_made_up_keys_do_not_flood_the_provider() -> None:
    with Provider([OLD.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())
            tokens = [OLD.token(kid=f"made-up-{number}") for number in range(200)]
            answers = await asyncio.gather(*(accepts(authenticator, token) for token in tokens))
            assert not any(answers)
            for token in tokens:
                assert not await accepts(authenticator, token)
            assert provider.requests == 2
            assert await accepts(authenticator, OLD.token())


async def test_a_key_for_another_algorithm_is_not_looked_for() -> None:
    with Provider([OLD.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())
            for algorithm in ("HS256", "HS512", "none"):
                assert not await accepts(authenticator, signed(alg=algorithm, kid="unknown"))
            assert provider.requests == 1


async def test_tokens_of_an_unknown_key_wait_for_one_fetch() -> None:
    with Provider([OLD.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())
            provider.keys.append(NEW.jwk())
            tokens = [NEW.token(claims(n=number)) for number in range(50)]
            assert all(await asyncio.gather(*(accepts(authenticator, t) for t in tokens)))
            assert provider.requests == 2


async def test_a_fetch_that_began_before_a_key_was_published_is_followed_by_another() -> None:
    """The first answer is made before the key is published, and is sent afterwards."""
    released, made = threading.Event(), threading.Event()

    def late(handler: BaseHTTPRequestHandler) -> None:
        made.set()
        released.wait(WAIT_SECONDS)
        send(handler, 200, KEY_SET)

    with Provider(respond=late) as provider:
        async with authenticating(provider.url) as authenticator:
            await asyncio.to_thread(made.wait, WAIT_SECONDS)
            provider.respond = None
            provider.keys = [OLD.jwk(), NEW.jwk()]
            tokens = [NEW.token(claims(n=number)) for number in range(20)]
            waiting = [asyncio.create_task(accepts(authenticator, token)) for token in tokens]
            await asyncio.sleep(0)
            released.set()
            assert all(await asyncio.gather(*waiting))
            assert provider.requests == 2


async def test_tokens_of_known_keys_do_not_wait_for_a_fetch() -> None:
    with Provider([OLD.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())
            released = threading.Event()

            def hang(handler: BaseHTTPRequestHandler) -> None:
                released.wait(WAIT_SECONDS)
                away(handler)

            provider.respond = hang
            unknown = asyncio.create_task(accepts(authenticator, NEW.token()))
            await wait_until_async(lambda: provider.requests == 2)
            for number in range(20):
                assert await accepts(authenticator, OLD.token(claims(n=number)))
            assert not unknown.done()
            released.set()
            assert not await unknown


@pytest.mark.parametrize("overlap", [True, False], ids=["with overlap", "without overlap"])
async def test_a_rotation_fails_no_request_that_is_signed_with_a_published_key(
    quick: None, overlap: bool
) -> None:
    """50 clients send tokens of the old and of the new key, while the keys change three times."""
    with Provider([OLD.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())
            signing, failures, served, over = OLD, 0, 0, asyncio.Event()

            async def client(name: str) -> None:
                nonlocal failures, served
                while not over.is_set():
                    key = signing
                    accepted = await accepts(authenticator, key.token(claims(name, n=served)))
                    failures += not accepted and key.jwk() in provider.keys
                    served += 1
                    await asyncio.sleep(0)

            clients = [asyncio.create_task(client(f"player-{number}")) for number in range(50)]
            for key in (NEW, SigningKey.rsa("third"), SigningKey.ec("fourth")):
                if overlap:  # A provider publishes a key before it signs with it.
                    provider.keys.append(key.jwk())
                    await asyncio.sleep(0.2)
                    signing = key
                    await asyncio.sleep(0.2)
                    provider.keys.pop(0)
                else:
                    provider.keys[:] = [key.jwk()]
                    signing = key
                await asyncio.sleep(0.2)
            over.set()
            await asyncio.gather(*clients)
            assert failures == 0 and served > 100


async def test_a_key_that_is_gone_ends_at_once(quick: None) -> None:
    """This is also so for tokens that were verified before."""
    with Provider([OLD.jwk(), NEW.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            old, new = OLD.token(), NEW.token()
            assert await accepts(authenticator, old) and await accepts(authenticator, new)
            provider.keys.pop(0)

            async def refused() -> bool:
                return not await accepts(authenticator, old)

            await wait_until_async(refused)
            assert await accepts(authenticator, new)


def away(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.close()


def status(code: int) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: send(handler, code, KEY_SET)


def document(content: Any, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda handler: send(handler, 200, body, **headers)


def elsewhere(handler: BaseHTTPRequestHandler) -> None:
    """Redirect to another path, where the keys are."""
    redirects = handler.path == "/keys"
    send(handler, 302 if redirects else 200, KEY_SET, Location="/other")


def trickle(handler: BaseHTTPRequestHandler) -> None:
    """Send a byte from time to time, so that no single read takes long."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" ")
            time.sleep(0.05)
    except OSError:
        pass


UNREADABLE = {
    "away": away,
    "500": status(500),
    "404": status(404),
    "a redirect": elsewhere,
    "no JSON": document(b"<html>"),
    "not UTF-8": document(b"\xff\xff"),
    "a list": document([]),
    "no keys": document({}),
    "an empty set": document({"keys": []}),
    "keys that are no objects": document({"keys": [1, "x", None]}),
    "a number for the keys": document({"keys": 5}),
    "nested deeply": document(b"[" * 100_000),
    "larger than 256 KiB": document(b" " * 256 * 1024 + KEY_SET),
    "compressed": document(b"\x1f\x8b" + b"x" * 100, Content_Encoding="gzip"),
    "only keys that are not used": document({"keys": [OLD.jwk(use="enc")]}),
}


@pytest.mark.parametrize("problem", UNREADABLE)
async def test_the_last_keys_stay_in_use(
    quick: None, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "game_api")
    with Provider([OLD.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())
            provider.respond, seen = UNREADABLE[problem], provider.requests

            await wait_until_async(lambda: provider.requests > seen + 3)
            assert await accepts(authenticator, OLD.token())
            assert await accepts(authenticator, OLD.token(claims("bob")))
            provider.respond = None
            provider.keys.append(NEW.jwk())

            await wait_until_async(lambda: accepts(authenticator, NEW.token()))
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1 and "the last ones stay in use" in warnings[0].message
    assert "could be fetched again" in caplog.text


async def test_a_slow_provider_has_three_seconds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(published, "FETCH_SECONDS", 0.3)
    monkeypatch.setattr(published, "UNKNOWN_SECONDS", 0)
    with Provider([OLD.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())
            for respond in (trickle, lambda handler: time.sleep(2)):
                provider.respond = respond
                started = time.monotonic()
                assert not await accepts(authenticator, NEW.token())
                assert time.monotonic() - started >= 0.3
                assert await accepts(authenticator, OLD.token(claims("bob")))
    assert "no answer within" in caplog.text


async def test_without_keys_every_token_is_told_to_come_back(quick: None) -> None:
    with Provider([OLD.jwk()], respond=away) as provider:
        async with authenticating(provider.url) as authenticator:
            for token in (OLD.token(), NEW.token(), OLD.token(kid="x")):
                with pytest.raises(KeysUnavailable) as error:
                    await accepts(authenticator, token)
            assert (error.value.status, error.value.retry_after) == (503, 1)
            with pytest.raises(Unauthenticated):
                await authenticator.authenticate([])
            provider.respond = None

            async def recovered() -> bool:
                try:
                    return await accepts(authenticator, OLD.token())
                except KeysUnavailable:
                    return False

            await wait_until_async(recovered)


async def test_a_provider_that_nobody_can_reach_keeps_nothing_from_starting() -> None:
    async with authenticating("http://127.0.0.1:1/keys") as authenticator:
        with pytest.raises(KeysUnavailable):
            await accepts(authenticator, OLD.token())


async def test_a_provider_that_does_not_answer_at_the_start_costs_a_token_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(published, "FETCH_SECONDS", 0.2)
    with Provider([OLD.jwk()], respond=trickle) as provider:
        async with authenticating(provider.url) as authenticator:
            with pytest.raises(KeysUnavailable):
                await accepts(authenticator, OLD.token())


async def test_problems_that_alternate_are_logged_once_each(
    quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    responses = [status(500), status(404), document([])]

    def respond(handler: BaseHTTPRequestHandler) -> None:
        responses[provider.requests % len(responses)](handler)

    with Provider(respond=respond) as provider:
        async with authenticating(provider.url):
            await wait_until_async(lambda: provider.requests > 12)
    assert sorted(record.message.rpartition(": ")[2] for record in caplog.records) == [
        "the status is 404",
        "the status is 500",
        "this is not a key set",
    ]
    assert all("no token can be verified" in record.message for record in caplog.records)


async def test_a_problem_that_persists_is_logged_again(
    quick: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(published, "REMINDER_SECONDS", 0)

    with Provider(respond=status(500)) as provider:
        async with authenticating(provider.url):
            await wait_until_async(lambda: len(caplog.records) > 3)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with Provider([OLD.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())


async def test_a_provider_needs_a_certificate_that_is_trusted(
    quick: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Provider([OLD.jwk()], tls=context) as provider:
        async with authenticating(provider.url) as authenticator:
            with pytest.raises(KeysUnavailable):
                await accepts(authenticator, OLD.token())
        assert "certificate verify failed" in caplog.text and provider.requests == 0
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())
        async with authenticating(provider.url.replace("127.0.0.1", "localhost")) as authenticator:
            with pytest.raises(KeysUnavailable):
                await accepts(authenticator, OLD.token())
