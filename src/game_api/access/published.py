"""The public keys that an identity provider publishes as a key set (JWKS, RFC 7517)."""

import asyncio
import json
import logging
import random
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Any, Self

import httpx2
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import InvalidKeyError
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from game_api.access.errors import KeysUnavailable
from game_api.access.keys import Key

REFRESH_SECONDS = 300.0
"""How often the keys are fetched again."""
UNKNOWN_SECONDS = 10.0
"""How often they are fetched at most because a token names a key that is not known."""
FETCH_SECONDS = 3.0
"""How long a fetch may take in all, and how long a token waits for it."""
FIRST_RETRY, LONGEST_RETRY = 0.5, 30.0
"""The limits in seconds of the pause after a failure; it doubles each time."""
REMINDER_SECONDS = 300.0
"""The number of seconds after which a problem that persists is logged again."""
MAX_BYTES = 256 * 1024
MAX_PROBLEM = 200
"""Characters of the description of a problem, which may quote what the server has sent."""

ALGORITHMS = {"RSA None": "RS256", "EC P-256": "ES256"}
"""The algorithm by the type and the curve of a key."""
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
SHORTEST_RSA_KEY, LONGEST_RSA_KEY = 2048, 8192

log = logging.getLogger(__name__)


class FetchFailed(Exception):
    """The keys can't be read; the text tells operators why."""


class PublishedKeys:
    """The key set at a URL.

    It is fetched in the background, every five minutes and when a token names an unknown key. As
    long as it can't be read, the last keys stay in use. Of two keys with the same type and id, the
    first one is used.
    """

    algorithms: Sequence[str] = tuple(ALGORITHMS.values())

    def __init__(self, url: str) -> None:
        self.version = 0
        self._url = url
        self._keys: tuple[Key, ...] = ()
        self._document = b""
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._next_unknown = 0.0
        """When an unknown key may be looked for again, by the monotonic clock."""
        self._problems: dict[str, float] = {}
        """The problems since the last success, and when each was logged."""
        self._client = httpx2.AsyncClient(
            verify=ssl.create_default_context(),
            timeout=None,  # `_fetch` has a deadline for all of it.
            trust_env=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )

    async def find(self, algorithm: str, kid: str | None) -> Key | None:
        """The key, after looking for an unknown one where it is published.

        A token need not name a key if there is only one for its algorithm.
        """
        found = self._known(algorithm, kid)
        if found is None and (kid is not None or not self._keys):
            found = await self._look_for(algorithm, kid)
        if not self._keys:
            raise KeysUnavailable()
        return found

    def _known(self, algorithm: str, kid: str | None) -> Key | None:
        keys = [key for key in self._keys if key.algorithm == algorithm]
        if kid is None:
            return keys[0] if len(keys) == 1 else None
        return next((key for key in keys if key.kid == kid), None)

    async def _look_for(self, algorithm: str, kid: str | None) -> Key | None:
        """The key, if a fetch finds it within the time that a token waits."""
        deadline = time.monotonic() + FETCH_SECONDS
        found = None
        if self._fetching is not None:
            await self._fetched(deadline)
            found = self._known(algorithm, kid)
        if found is not None or kid is None or not self._keys:
            return found
        # The fetch that has just ended may have begun before the key was published.
        now = time.monotonic()
        if self._fetching is None:
            if now < self._next_unknown:
                return None
            self._next_unknown = now + UNKNOWN_SECONDS
        await self._fetched(deadline)
        return self._known(algorithm, kid)

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
            pause = retry if self._problems else REFRESH_SECONDS
            retry = min(2 * retry, LONGEST_RETRY) if self._problems else FIRST_RETRY
            await asyncio.sleep(pause * random.uniform(0.8, 1))

    async def _fetched(self, deadline: float | None = None) -> None:
        """Wait for the end of a fetch, which all who wait share, or until the deadline."""
        timeout = None if deadline is None else max(0.0, deadline - time.monotonic())
        await asyncio.wait([self._fetching or self._start_fetching()], timeout=timeout)

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
            self._report(f"no answer within {FETCH_SECONDS:g} seconds")
        except Exception as error:  # Whatever it is, the next attempt may succeed.
            self._report(str(error)[:MAX_PROBLEM] or type(error).__name__)
        else:
            if self._problems:
                log.info("the keys that verify tokens could be fetched again")
            self._problems.clear()
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
        """Log a new problem, and one that persists from time to time."""
        now = time.monotonic()
        logged = self._problems.get(problem)
        if logged is None or now - logged >= REMINDER_SECONDS:
            effect = "the last ones stay in use" if self._keys else "no token can be verified"
            log.warning("the keys that verify tokens can't be fetched, %s: %s", effect, problem)
            self._problems[problem] = now


def usable_keys(document: bytes) -> Iterator[Key]:
    """The keys of a key set that may verify tokens. Raises FetchFailed if there is none."""
    try:
        members = json.loads(document)["keys"]
        found = [key for member in members if (key := usable_key(member)) is not None]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise FetchFailed("this is not a key set") from None
    if not found:
        raise FetchFailed("there is no key for RS256 or ES256 in the key set")
    yield from found


def usable_key(member: Any) -> Key | None:
    """A public RSA key for RS256 or P-256 key for ES256; None for any other member of a key set.

    A private key that is published is known to everybody, so it is not used either.
    """
    if not isinstance(member, dict) or not PRIVATE_MEMBERS.isdisjoint(member):
        return None
    algorithm = ALGORITHMS.get(f"{member.get('kty')} {member.get('crv')}")
    operations = member.get("key_ops", ["verify"])
    verifies = isinstance(operations, list) and "verify" in operations
    if algorithm is None or not verifies or member.get("use", "sig") != "sig":
        return None
    if member.get("alg", algorithm) != algorithm:
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
