"""The keys that verify tokens: a secret, or the public keys that an identity provider publishes."""

import asyncio
import json
import logging
import random
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import httpx2
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import InvalidKeyError
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from game_api.access.errors import KeysUnavailable
from game_api.settings import Settings

REFRESH_SECONDS = 300.0
"""How often the keys are fetched again."""
UNKNOWN_SECONDS = 10.0
"""How often they are fetched at most because a token names a key that is not known."""
FETCH_SECONDS = 3.0
FIRST_RETRY, LONGEST_RETRY = 0.5, 30.0
"""The limits in seconds of the pause after a failure; it doubles each time."""
REMINDER_SECONDS = 300.0
"""The number of seconds after which an unchanged problem is logged again."""
MAX_BYTES = 256 * 1024
ALGORITHMS = {"RSA None": "RS256", "EC P-256": "ES256"}
"""The algorithm by the type and the curve of a key."""
SHORTEST_RSA_KEY, LONGEST_RSA_KEY = 2048, 8192

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Key:
    """A key, and the only algorithm that it is used with."""

    algorithm: str
    material: Any
    """The key in the form that PyJWT takes."""
    kid: str | None = None


class Keys(Protocol):
    """The keys that are in use. `version` changes with each change of the keys."""

    version: int

    async def find(self, algorithm: Any, kid: Any) -> Key | None:
        """The key with this id for this algorithm, both as a token names them.

        Raises KeysUnavailable.
        """
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...


def open_keys(settings: Settings) -> Keys:
    """The keys that the settings name."""
    if settings.jwt_secret is not None:
        return SecretKey(settings.jwt_secret.get_secret_value())
    assert settings.jwks_url is not None
    return PublishedKeys(settings.jwks_url)


class SecretKey:
    """A secret that both signs and verifies tokens. It has no id."""

    version = 0

    def __init__(self, secret: str) -> None:
        self._key = Key("HS256", secret)

    async def find(self, algorithm: Any, kid: Any) -> Key | None:
        return self._key if algorithm == self._key.algorithm else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass


class FetchFailed(Exception):
    """The keys can't be read; the text tells operators why."""


class PublishedKeys:
    """The key set (JWKS) at a URL.

    It is fetched in the background, every five minutes and when a token names an unknown key. As
    long as it can't be read, the last keys stay in use.
    """

    def __init__(self, url: str) -> None:
        self.version = 0
        self._url = url
        self._keys: tuple[Key, ...] = ()
        self._document = b""
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._next_unknown = 0.0
        """When an unknown key may be looked for again, by the monotonic clock."""
        self._problem: str | None = None
        self._reported = 0.0
        self._client = httpx2.AsyncClient(
            verify=ssl.create_default_context(),
            timeout=FETCH_SECONDS,
            trust_env=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )

    async def find(self, algorithm: Any, kid: Any) -> Key | None:
        """The key, after looking for an unknown one where it is published.

        A token need not name a key if there is only one for its algorithm.
        """
        if not self._keys and self._fetching is not None:
            await self._fetched()
        found = self._known(algorithm, kid)
        nameable = isinstance(kid, str) and algorithm in ALGORITHMS.values()
        if found is None and self._keys and nameable:
            now = time.monotonic()
            if self._fetching is not None or now >= self._next_unknown:
                self._next_unknown = now + UNKNOWN_SECONDS
                await self._fetched()
                found = self._known(algorithm, kid)
        if not self._keys:
            raise KeysUnavailable()
        return found

    def _known(self, algorithm: Any, kid: Any) -> Key | None:
        keys = [key for key in self._keys if key.algorithm == algorithm]
        if kid is None:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.kid == kid), None)

    async def __aenter__(self) -> Self:
        self._start_fetching()
        self._refreshing = asyncio.create_task(self._refresh())
        return self

    async def __aexit__(self, *error: object) -> None:
        tasks = [task for task in (self._refreshing, self._fetching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def _refresh(self) -> None:
        retry = FIRST_RETRY
        while True:
            await self._fetched()
            pause = retry if self._problem else REFRESH_SECONDS
            retry = min(2 * retry, LONGEST_RETRY) if self._problem else FIRST_RETRY
            await asyncio.sleep(pause * random.uniform(0.8, 1))

    async def _fetched(self) -> None:
        """Wait for the end of a fetch, which all who wait share."""
        await asyncio.wait([self._fetching or self._start_fetching()])

    def _start_fetching(self) -> asyncio.Task[None]:
        task = self._fetching = asyncio.create_task(self._fetch())
        task.add_done_callback(lambda _: setattr(self, "_fetching", None))
        return task

    async def _fetch(self) -> None:
        """Replace the keys by those that are published now, if these can be read."""
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                document = await self._download()
            keys = tuple(usable_keys(document))
        except TimeoutError:
            self._report(f"no answer within {FETCH_SECONDS:.0f} seconds")
        except Exception as error:  # Whatever it is, the next attempt may succeed.
            self._report(str(error) or type(error).__name__)
        else:
            if self._problem is not None:
                log.info("the keys that verify tokens could be fetched again")
            self._problem = None
            if document != self._document:
                self._keys, self._document = keys, document
                self.version += 1

    async def _download(self) -> bytes:
        body = bytearray()
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != 200:
                raise FetchFailed(f"the status is {response.status_code}")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise FetchFailed(f"the key set is larger than {MAX_BYTES // 1024} KiB")
        return bytes(body)

    def _report(self, problem: str) -> None:
        """Log a new problem, and an unchanged one from time to time."""
        now = time.monotonic()
        if problem != self._problem or now - self._reported >= REMINDER_SECONDS:
            effect = "the last ones stay in use" if self._keys else "no token can be verified"
            log.warning("the keys that verify tokens can't be fetched, %s: %s", effect, problem)
            self._reported = now
        self._problem = problem


def usable_keys(document: bytes) -> Iterator[Key]:
    """The keys of a key set that may verify tokens. Raises FetchFailed if there is none."""
    try:
        members = json.loads(document)["keys"]
        found = [key for member in list(members) if (key := usable_key(member)) is not None]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise FetchFailed("this is not a key set") from None
    if not found:
        raise FetchFailed("there is no key for RS256 or ES256 in the key set")
    yield from found


def usable_key(member: Any) -> Key | None:
    """A public RSA key for RS256 or P-256 key for ES256; None for any other member of a key set.

    A private key that is published is known to everybody, so it is not used either.
    """
    if not isinstance(member, dict) or "d" in member:
        return None
    algorithm = ALGORITHMS.get(f"{member.get('kty')} {member.get('crv')}")
    uses = member.get("use", "sig"), member.get("alg", algorithm)
    operations = member.get("key_ops", ["verify"])
    if algorithm is None or uses != ("sig", algorithm):
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    try:
        public: Any = (RSAAlgorithm if algorithm == "RS256" else ECAlgorithm).from_jwk(member)
    except (InvalidKeyError, ValueError, TypeError):
        return None
    if isinstance(public, RSAPublicKey):
        if not SHORTEST_RSA_KEY <= public.key_size <= LONGEST_RSA_KEY:
            return None
    kid = member.get("kid")
    return Key(algorithm, public, kid if isinstance(kid, str) else None)
