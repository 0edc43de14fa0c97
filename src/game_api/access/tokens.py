"""Tokens (JWT, RFC 7519): who makes a request, verified by PyJWT."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

import jwt

from game_api.access.caller import ROLES, Caller, Role
from game_api.access.errors import Unauthenticated
from game_api.access.keys import Key, open_keys
from game_api.settings import Settings

LEEWAY = 30
"""How many seconds the clocks of the issuer and of this process may differ."""
MAX_TOKEN_BYTES = 8 * 1024
MAX_SUBJECT = 255
CACHED_TOKENS = 10_000
AUTHORIZATION = b"authorization"

OPTIONS: Any = {
    "require": ["exp", "sub"],
    "verify_iat": False,
    "verify_jti": False,
    "verify_aud": False,  # `check_audience` does, because it may be in `client_id`.
    "verify_exp": False,  # `check_times` does both, because PyJWT takes strings for numbers.
    "verify_nbf": False,
    "enforce_minimum_key_length": True,
}

INVALID_SUBJECT = f"The subject (`sub`) must be a printable text of 1-{MAX_SUBJECT} characters."
MALFORMED = "The token is malformed."
REASONS: Sequence[tuple[type[jwt.PyJWTError], str]] = (
    (jwt.InvalidSignatureError, "The signature of the token is wrong."),
    (jwt.InvalidIssuerError, "The token is from another issuer."),
    (jwt.exceptions.InvalidSubjectError, INVALID_SUBJECT),
    (jwt.DecodeError, MALFORMED),
    (jwt.InvalidTokenError, "The header of the token has a `kid` or `crit` that is not supported."),
)
"""What to tell the client, by the error of PyJWT, whose own texts may quote the token."""


@dataclass(frozen=True)
class Verified:
    """A token that was accepted: its caller, until when, and with which version of the keys."""

    caller: Caller
    expires: float
    keys: int


class Authenticator:
    """Tells who makes a request. Tokens that were verified before are remembered by their hash."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._keys = open_keys(settings)
        self._verified: OrderedDict[bytes, Verified] = OrderedDict()

    async def __aenter__(self) -> Self:
        await self._keys.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._keys.__aexit__(*error)

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """The caller that the header `Authorization` names.

        The caller has no role if the token has none. Raises Unauthenticated or KeysUnavailable.
        """
        token = bearer_token(headers)
        digest = sha256(token).digest()
        known = self._verified.get(digest)
        if known is not None:
            if known.keys == self._keys.version and self._clock() < known.expires:
                self._verified.move_to_end(digest)
                return known.caller
            del self._verified[digest]
        return await self._verify(token, digest)

    async def _verify(self, token: bytes, digest: bytes) -> Caller:
        key = await self._key_of(token)
        version = self._keys.version
        try:
            claims = jwt.decode(
                token,
                key.material,
                algorithms=[key.algorithm],
                issuer=self._settings.jwt_issuer,
                options=OPTIONS,
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(reason(error), invalid=True) from None
        except (ValueError, RecursionError):
            raise Unauthenticated(MALFORMED, invalid=True) from None
        check_times(claims, self._clock())
        check_audience(claims, self._settings.jwt_audience)
        subject = claims["sub"]
        if not valid_subject(subject):
            raise Unauthenticated(INVALID_SUBJECT, invalid=True)
        caller = Caller(subject, roles_of(claims, self._settings))
        self._verified[digest] = Verified(caller, claims["exp"] + LEEWAY, version)
        if len(self._verified) > CACHED_TOKENS:
            self._verified.popitem(last=False)
        return caller

    async def _key_of(self, token: bytes) -> Key:
        """The key that the token names. Raises Unauthenticated or KeysUnavailable."""
        try:
            # The header alone, because PyJWT would decode the rest as well.
            head = token.partition(b".")[0] + b".."
            header: Mapping[str, Any] = jwt.get_unverified_header(head)
        except jwt.PyJWTError as error:
            raise Unauthenticated(reason(error), invalid=True) from None
        except (ValueError, RecursionError):
            raise Unauthenticated(MALFORMED, invalid=True) from None
        algorithm: Any = header.get("alg")
        kid: Any = header.get("kid")
        if algorithm not in self._keys.algorithms:
            accepted = " or ".join(self._keys.algorithms)
            raise Unauthenticated(f"The token must be signed with {accepted}.", invalid=True)
        key = await self._keys.find(algorithm, kid)
        if key is None:
            known = "is signed with an unknown key" if kid is not None else "must name its key"
            raise Unauthenticated(f"The token {known} (`kid`).", invalid=True)
        return key


def bearer_token(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The token in the only header `Authorization`. Raises Unauthenticated."""
    given = [value for name, value in headers if name == AUTHORIZATION]
    if not given:
        raise Unauthenticated()
    if len(given) > 1:
        raise Unauthenticated("There must be only one header Authorization.", invalid=True)
    scheme, _, token = given[0].partition(b" ")
    if scheme.lower() != b"bearer":
        raise Unauthenticated("The scheme of Authorization must be Bearer.")
    if len(token) > MAX_TOKEN_BYTES:
        raise Unauthenticated(f"The token is longer than {MAX_TOKEN_BYTES} bytes.", invalid=True)
    token = token.lstrip(b" ")  # RFC 9110 allows several spaces.
    if not token:
        raise Unauthenticated("The header Authorization has no token.", invalid=True)
    return token


def reason(error: jwt.PyJWTError) -> str:
    """What is wrong with a token, without any part of it."""
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"The token needs the claim `{error.claim}`."
    return next((text for kind, text in REASONS if isinstance(error, kind)), MALFORMED)


def valid_subject(subject: str) -> bool:
    """Whether the text may name a principal.

    Control characters and lone surrogates could be neither stored nor compared reliably.
    """
    return 0 < len(subject) <= MAX_SUBJECT and subject.isprintable()


def check_times(claims: Mapping[str, Any], now: float) -> None:
    """Raises Unauthenticated if the token has expired, or is not valid yet."""
    for name in ("exp", "nbf"):
        moment = claims.get(name, 0)
        if isinstance(moment, bool) or not isinstance(moment, int | float):
            raise Unauthenticated(f"The claim `{name}` must be a number.", invalid=True)
        if isinstance(moment, float) and not math.isfinite(moment):
            raise Unauthenticated(f"The claim `{name}` must be a number.", invalid=True)
    if claims["exp"] + LEEWAY <= now:
        raise Unauthenticated("The token has expired.", invalid=True)
    if claims.get("nbf", 0) - LEEWAY > now:
        raise Unauthenticated("The token is not valid yet.", invalid=True)


def check_audience(claims: Mapping[str, Any], accepted: Sequence[str]) -> None:
    """Raises Unauthenticated if the token is meant for others.

    Without `aud`, the `client_id` is compared: access tokens of Amazon Cognito have no `aud`.
    """
    if not accepted:
        return
    audience = claims.get("aud", claims.get("client_id"))
    named = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(name, str) and name in accepted for name in named):
        raise Unauthenticated("The token is for another audience.", invalid=True)


def roles_of(claims: Mapping[str, Any], settings: Settings) -> frozenset[Role]:
    """The roles in the claim, which is a list, or words separated by spaces."""
    words = claims.get(settings.jwt_roles_claim)
    if isinstance(words, str):
        words = words.split(" ")
    if not isinstance(words, list):
        return frozenset()
    return frozenset(role for role in ROLES if settings.jwt_roles_prefix + role in words)


def mint(settings: Settings, subject: str, roles: Sequence[str], seconds: int) -> str:
    """A token that the service accepts, signed with its secret."""
    assert settings.jwt_secret is not None
    claims: dict[str, Any] = {
        "sub": subject,
        "exp": int(time.time()) + seconds,
        settings.jwt_roles_claim: [settings.jwt_roles_prefix + role for role in roles],
    }
    if settings.jwt_issuer:
        claims["iss"] = settings.jwt_issuer
    if settings.jwt_audience:
        claims["aud"] = settings.jwt_audience[0]
    return jwt.encode(claims, settings.jwt_secret.get_secret_value(), algorithm="HS256")
