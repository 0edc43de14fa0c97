"""Published keys: rotation, and providers that are away, slow or wrong."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from game_api.access import keys
from game_api.access.errors import KeysUnavailable, Unauthenticated
from game_api.access.tokens import Authenticator
from game_api.settings import Settings
from tests.access.provider import AUDIENCE, ISSUER, Provider, SigningKey, bearer, claims, send
from tests.waiting import WAIT_SECONDS

OLD, NEW = SigningKey.rsa("old"), SigningKey.ec("new")


@asynccontextmanager
async def authenticating(url: str) -> AsyncIterator[Authenticator]:
    settings = Settings(auth="jwt", jwks_url=url, jwt_issuer=ISSUER, jwt_audience=(AUDIENCE,))
    async with Authenticator(settings) as authenticator:
        yield authenticator


async def accepts(authenticator: Authenticator, token: str) -> bool:
    """Whether the token is accepted. Raises KeysUnavailable."""
    try:
        await authenticator.authenticate(bearer(token))
    except Unauthenticated:
        return False
    return True


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch the keys again much more often."""
    monkeypatch.setattr(keys, "REFRESH_SECONDS", 0.05)
    monkeypatch.setattr(keys, "UNKNOWN_SECONDS", 0.05)
    monkeypatch.setattr(keys, "FIRST_RETRY", 0.05)
    monkeypatch.setattr(keys, "LONGEST_RETRY", 0.1)


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


async def test_tokens_of_an_unknown_key_wait_for_one_fetch() -> None:
    with Provider([OLD.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())
            provider.keys.append(NEW.jwk())
            tokens = [NEW.token(claims(n=number)) for number in range(50)]
            assert all(await asyncio.gather(*(accepts(authenticator, t) for t in tokens)))
            assert provider.requests == 2


async def test_a_rotation_fails_no_request(quick: None) -> None:
    """Tokens of the old and of the new key arrive all the time; the keys overlap."""
    with Provider([OLD.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            signing, failures, served, over = [OLD], 0, 0, asyncio.Event()

            async def client(number: int) -> None:
                nonlocal failures, served
                while not over.is_set():
                    token = signing[-1].token(claims(f"player-{number}", n=served))
                    failures += not await accepts(authenticator, token)
                    served += 1
                    await asyncio.sleep(0)

            clients = [asyncio.create_task(client(number)) for number in range(10)]
            rotations = [NEW, SigningKey.rsa("third"), SigningKey.ec("fourth")]
            for key in rotations:
                provider.keys.append(key.jwk())
                await asyncio.sleep(0.2)  # The provider publishes a key before it signs with it.
                signing.append(key)
                await asyncio.sleep(0.2)
                provider.keys.pop(0)
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

            await eventually(refused)
            assert await accepts(authenticator, new)


def away(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    handler.connection.close()


def status(code: int) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: send(handler, code, b'{"keys": []}')


def document(content: Any, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda handler: send(handler, 200, body, **headers)


def elsewhere(handler: BaseHTTPRequestHandler) -> None:
    send(handler, 302, b"", Location="http://127.0.0.1:1/keys")


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
    "larger than 256 KiB": document(b" " * 300_000 + b'{"keys": []}'),
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

            async def asked_again() -> bool:
                return provider.requests > seen + 3

            await eventually(asked_again)
            assert await accepts(authenticator, OLD.token())
            assert await accepts(authenticator, OLD.token(claims("bob")))
            provider.respond = None
            provider.keys.append(NEW.jwk())

            async def recovered() -> bool:
                return await accepts(authenticator, NEW.token())

            await eventually(recovered)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1 and "the last ones stay in use" in warnings[0].message
    assert "could be fetched again" in caplog.text


async def test_a_slow_provider_has_three_seconds(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(keys, "FETCH_SECONDS", 0.3)
    monkeypatch.setattr(keys, "UNKNOWN_SECONDS", 0)
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

            await eventually(recovered)


async def test_a_provider_that_nobody_can_reach_keeps_nothing_from_starting() -> None:
    async with authenticating("http://127.0.0.1:1/keys") as authenticator:
        with pytest.raises(KeysUnavailable):
            await accepts(authenticator, OLD.token())


PUBLIC = OLD.jwk()
UNUSABLE = {
    "a short RSA key": SigningKey.rsa("weak", 1024).jwk(),
    "for encryption": OLD.jwk(use="enc"),
    "for signing only": OLD.jwk(key_ops=["sign"]),
    "of another algorithm": OLD.jwk(alg="RS512"),
    "an RSA key for ES256": OLD.jwk(alg="ES256"),
    "a secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "old", "alg": "HS256"},
    "a private key": OLD.jwk(d="AQAB"),
    "another curve": SigningKey.ec("p384", ec.SECP384R1()).jwk(),
    "an Edwards curve": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "ed"},
    "a point that is not on the curve": NEW.jwk(x=NEW.jwk()["y"]),
    "no modulus": {"kty": "RSA", "e": "AQAB", "kid": "old"},
    "no base64": OLD.jwk(n="!!!"),
    "a modulus that is a number": OLD.jwk(n=5),
    "operations that are no list": OLD.jwk(key_ops=5),
    "a type that is an object": OLD.jwk(kty={}),
    "an algorithm that is a list": OLD.jwk(alg=["RS256"]),
}


async def test_members_that_are_no_objects_are_ignored() -> None:
    members: list[Any] = [5, None, "x", [], OLD.jwk()]
    with Provider(members) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())


async def test_a_key_for_another_algorithm_is_not_looked_for() -> None:
    with Provider([OLD.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())
            for algorithm in ("HS256", "HS512"):
                headers = {"kid": "unknown"}
                token = jwt.encode(claims(), "x" * 64, algorithm=algorithm, headers=headers)
                assert not await accepts(authenticator, token)
            assert provider.requests == 1


@pytest.mark.parametrize("name", UNUSABLE)
async def test_a_key_that_is_not_fit_is_not_used(name: str) -> None:
    """Others in the same set are."""
    good = SigningKey.rsa("good")
    member = UNUSABLE[name]
    with Provider([member, good.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, good.token())
            for key in (OLD, NEW):
                assert not await accepts(authenticator, key.token(kid=member["kid"]))
    assert keys.usable_key(member) is None


async def test_a_token_without_a_kid_needs_the_only_key_of_its_type() -> None:
    nameless = jwt.encode(claims(), OLD.private, algorithm="RS256")
    for others, accepted in (([NEW], True), ([SigningKey.rsa("second")], False)):
        with Provider([OLD.jwk(), *(key.jwk() for key in others)]) as provider:
            async with authenticating(provider.url) as authenticator:
                assert await accepts(authenticator, nameless) is accepted
                assert await accepts(authenticator, OLD.token())
                assert provider.requests == 1


async def test_two_keys_with_the_same_id_are_told_apart_by_their_type() -> None:
    twin = SigningKey.ec("old")
    with Provider([OLD.jwk(), twin.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, OLD.token())
            assert await accepts(authenticator, twin.token())
