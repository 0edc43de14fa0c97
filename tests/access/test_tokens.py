"""Tokens: what is accepted, and a long list of what is not."""

import base64
import json
import string
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from game_api.access import tokens as tokens_module
from game_api.access.caller import Caller
from game_api.access.errors import Unauthenticated
from game_api.access.tokens import MAX_TOKEN_BYTES, Authenticator
from game_api.settings import Settings
from tests.access.minting import SECRET
from tests.access.provider import AUDIENCE, ISSUER, Provider, SigningKey, bearer, claims, segment

RSA = SigningKey.rsa("rsa-1")
EC = SigningKey.ec("ec-1")
OTHER = SigningKey.rsa("rsa-1")
"""A key that the provider does not publish, under an id that it does."""


def settings(**changes: Any) -> Settings:
    given = {
        "auth": "jwt",
        "jwt_issuer": ISSUER,
        "jwt_audience": AUDIENCE,
        "jwt_secret": SECRET,
    } | changes
    return Settings.model_validate({k: v for k, v in given.items() if v is not None})


def signed(payload: Any = None, secret: str = SECRET, **header: Any) -> str:
    """A token with a secret, made by hand, so that nothing about it is checked."""
    head = segment({"alg": "HS256", "typ": "JWT"} | header)
    body = segment(claims() if payload is None else payload)
    key = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{head}.{body}." + segment(key.sign(f"{head}.{body}".encode(), secret.encode()))


def with_claims(**changes: Any) -> str:
    return signed(claims(**changes))


VALID = signed()
HEAD, BODY, SIGNATURE = VALID.split(".")


async def check(
    headers: list[tuple[bytes, bytes]], clock: Callable[[], float] = time.time, **changes: Any
) -> Caller:
    async with Authenticator(settings(**changes), clock) as authenticator:
        return await authenticator.authenticate(headers)


async def refusal(headers: list[tuple[bytes, bytes]], **changes: Any) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        await check(headers, **changes)
    return caught.value


async def test_a_valid_token_names_the_caller() -> None:
    caller = await check(bearer(signed(claims("ada", "player", "painter"))))
    assert (caller.subject, caller.role) == ("ada", "player")
    assert caller.roles == {"player"}


@pytest.mark.parametrize(
    "header", [b"Bearer ", b"bearer ", b"BEARER ", b"bEaReR "], ids=lambda b: b.decode().strip()
)
async def test_the_scheme_is_accepted_in_any_case(header: bytes) -> None:
    assert (await check([(b"authorization", header + VALID.encode())])).subject == "ada"


@pytest.mark.parametrize(
    ("roles", "found"),
    [
        (["admin", "server", "player"], {"admin", "server", "player"}),
        ("server player", {"server", "player"}),
        (["server", 5, None, {"admin": 1}], {"server"}),
    ],
)
async def test_roles_are_a_list_or_words(roles: Any, found: set[str]) -> None:
    assert (await check(bearer(with_claims(roles=roles)))).roles == found


@pytest.mark.parametrize(
    "roles",
    [None, [], "", "Admin", "administrator", ["admin "], {"admin": True}, True, 7, "a,player"],
)
async def test_a_token_may_have_no_role(roles: Any) -> None:
    caller = await check(bearer(with_claims(roles=roles)))
    assert (caller.roles, caller.role) == (frozenset(), "none")


async def test_roles_can_be_in_another_claim_with_a_prefix() -> None:
    changes: dict[str, Any] = {"jwt_roles_claim": "scope", "jwt_roles_prefix": "game-api/"}
    token = with_claims(roles=["admin"], scope="openid game-api/server other/admin admin")
    assert (await check(bearer(token), **changes)).roles == {"server"}
    assert not (await check(bearer(with_claims(scope="server")), **changes)).roles


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({"aud": AUDIENCE}, True),
        ({"aud": ["x", AUDIENCE]}, True),
        ({"aud": None, "client_id": AUDIENCE}, True),
        ({"aud": "second"}, True),
        ({"aud": None}, False),
        ({"aud": "x", "client_id": AUDIENCE}, False),
        ({"aud": []}, False),
        ({"aud": ""}, False),
        ({"aud": AUDIENCE.upper()}, False),
        ({"aud": [AUDIENCE + "x"]}, False),
        ({"aud": {AUDIENCE: 1}}, False),
        ({"aud": None, "client_id": [7]}, False),
        ({"aud": f"{AUDIENCE},second"}, False),
    ],
)
async def test_the_audience(changes: dict[str, Any], accepted: bool) -> None:
    token, both = with_claims(**changes), f"{AUDIENCE}, second"
    if accepted:
        assert await check(bearer(token), jwt_audience=both)
    else:
        assert "audience" in (await refusal(bearer(token), jwt_audience=both)).detail


async def test_issuer_and_audience_are_checked_only_if_they_are_set() -> None:
    token = with_claims(iss="x", aud="y")
    assert await check(bearer(token), jwt_issuer=None, jwt_audience=None)


async def test_the_clocks_may_differ_by_thirty_seconds() -> None:
    now = 1_800_000_000.0
    cases: list[tuple[dict[str, Any], bool]] = [
        ({"exp": now - 29}, True),
        ({"exp": now - 31}, False),
        ({"nbf": now + 29}, True),
        ({"nbf": now + 31}, False),
        ({"iat": now + 9999}, True),
        ({"exp": now + 0.5}, True),
    ]
    for changes, accepted in cases:
        token = signed(claims(**({"exp": now + 60} | changes)))
        if accepted:
            assert await check(bearer(token), clock=lambda: now)
        else:
            await refusal(bearer(token), clock=lambda: now)


def none_of(spelling: str) -> str:
    return f"{segment({'alg': spelling, 'typ': 'JWT'})}.{BODY}."


PEM = RSA.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DER = RSA.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def confused(secret: bytes, **header: Any) -> str:
    """A token signed by HMAC with a public key as its secret."""
    head = segment({"alg": "HS256", "typ": "JWT", "kid": "rsa-1"} | header)
    key = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{head}.{BODY}." + segment(key.sign(f"{head}.{BODY}".encode(), secret))


TORTURE: dict[str, str | bytes] = {
    "empty": "",
    "one space": " ",
    "not a token": "wrong",
    "only dots": "..",
    "four dots": f"{VALID}..",
    "a fourth part": f"{VALID}.{SIGNATURE}",
    "no signature": f"{HEAD}.{BODY}.",
    "no payload": f"{HEAD}..{SIGNATURE}",
    "no header": f".{BODY}.{SIGNATURE}",
    "two parts": f"{HEAD}.{BODY}",
    "leading space": f" {VALID}",
    "trailing space": f"{VALID} x",
    "a tab": f"\t{VALID}",
    "two tokens": f"{VALID}, {VALID}",
    "quoted": f'"{VALID}"',
    "unicode": "ädä.ö.ü".encode(),
    "not UTF-8": b"\xff\xfe.\xff.\xff",
    "NUL": VALID.encode() + b"\0",
    "oversized": signed(claims(padding="x" * MAX_TOKEN_BYTES)),
    "another secret": signed(secret=SECRET + "x"),
    "another payload": f"{HEAD}.{segment(claims('eve', 'admin'))}.{SIGNATURE}",
    "signature of another token": f"{HEAD}.{BODY}.{signed(claims('bob')).split('.')[2]}",
    "a changed signature": VALID[:-4] + ("AAAA" if VALID[-4:] != "AAAA" else "BBBB"),
    "payload is no JSON": f"{HEAD}.{segment('x')}.{SIGNATURE}",
    "payload is a list": signed([1]),
    "payload is a string": signed('"ada"'),
    "payload is null": signed("null"),
    "payload is nested deeply": signed("[" * 3000 + "]" * 3000),
    "payload has a huge number": signed('{"sub": "ada", "exp": ' + "9" * 5000 + "}"),
    "header is a list": f"{segment([1])}.{BODY}.{SIGNATURE}",
    "header is no JSON": f"{segment('x')}.{BODY}.{SIGNATURE}",
    "header without alg": f"{segment({'typ': 'JWT'})}.{BODY}.{SIGNATURE}",
    "standard base64": VALID.replace("-", "+").replace("_", "/") + "+/",
    "base64 of another length": f"{HEAD}.{BODY}.{SIGNATURE}A",
    **{f"alg {spelling}": none_of(spelling) for spelling in ("none", "None", "NONE", "nOnE", "")},
    **{f"alg {value!r}": signed(alg=value) for value in (None, 5, [], ["HS256"], {"a": 1}, True)},
    "alg none with a signature": f"{segment({'alg': 'none'})}.{BODY}.{SIGNATURE}",
    "alg HS512": jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
    "alg HS384": jwt.encode(claims(), SECRET * 2, algorithm="HS384"),
    "alg hs256": signed(alg="hs256"),
    "signed by RS256": RSA.token(),
    "signed by ES256": EC.token(),
    "crit unknown": signed(crit=["x"], x=1),
    "crit exp": signed(crit=["exp"]),
    "crit empty": signed(crit=[]),
    "crit text": signed(crit="b64"),
    "b64 false": signed(b64=False, crit=["b64"]),
    "kid is a number": signed(kid=7),
    "kid is an object": signed(kid={"a": 1}),
    "expired": with_claims(exp=int(time.time()) - 60),
    "expired long ago": with_claims(exp=0),
    "exp negative": with_claims(exp=-(10**30)),
    "exp missing": with_claims(exp=None),
    "exp null": signed(claims() | {"exp": None}),
    "exp text": with_claims(exp=str(int(time.time()) + 60)),
    "exp boolean": with_claims(exp=True),
    "exp list": with_claims(exp=[int(time.time()) + 60]),
    "exp NaN": signed(json.dumps(claims()).replace(str(claims()["exp"]), "NaN")),
    "exp infinite": signed(json.dumps(claims(exp=1.5)).replace("1.5", "1e400")),
    "not valid yet": with_claims(nbf=int(time.time()) + 60),
    "nbf text": with_claims(nbf="0"),
    "nbf boolean": with_claims(nbf=False),
    "nbf null": signed(claims() | {"nbf": None}),
    "iss wrong": with_claims(iss="https://evil.example"),
    "iss missing": with_claims(iss=None),
    "iss a list": with_claims(iss=[ISSUER]),
    "iss null": signed(claims() | {"iss": None}),
    "iss with a slash": with_claims(iss=ISSUER + "/"),
    "aud wrong": with_claims(aud="x"),
    "sub missing": with_claims(sub=None),
    "sub empty": with_claims(sub=""),
    "sub a number": with_claims(sub=7),
    "sub a list": with_claims(sub=["ada"]),
    "sub too long": with_claims(sub="x" * 256),
}


@pytest.mark.parametrize("name", TORTURE)
async def test_a_wrong_token_is_refused(name: str) -> None:
    token = TORTURE[name]
    error = await refusal(bearer(token))
    assert (error.status, error.code) == (401, "unauthenticated")
    assert error.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    told = f"{error.detail} {error.extra}"
    text = token.decode("latin-1") if isinstance(token, bytes) else token
    for part in text.split("."):
        assert len(part.strip()) < 6 or part not in told


@pytest.mark.parametrize("position", [*range(0, len(VALID) - 1, 17), len(VALID) - 1])
async def test_a_truncated_token_is_refused(position: int) -> None:
    await refusal(bearer(VALID[:position]))


async def test_no_other_spelling_of_a_signature_is_accepted() -> None:
    """The last character of a signature has bits that do not count."""
    alphabet = string.ascii_letters + string.digits + "-_"
    accepted = [
        last
        for last in alphabet
        if not isinstance(await outcome(f"{VALID[:-1]}{last}"), Unauthenticated)
    ]
    assert accepted == [VALID[-1]]


async def outcome(token: str) -> Caller | Unauthenticated:
    try:
        return await check(bearer(token))
    except Unauthenticated as error:
        return error


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ([], "Bearer"),
        ([(b"authorization", b"")], "Bearer"),
        ([(b"authorization", f"Basic {VALID}".encode())], "Bearer"),
        ([(b"authorization", VALID.encode())], "Bearer"),
        ([(b"authorization", b"Bearer")], 'Bearer error="invalid_token"'),
        ([(b"authorization", b"Bearer ")], 'Bearer error="invalid_token"'),
        (bearer(VALID) * 2, 'Bearer error="invalid_token"'),
        ([*bearer(VALID), (b"authorization", b"Basic x")], 'Bearer error="invalid_token"'),
        ([(b"authorization", f"Bearer  {VALID}".encode())], 'Bearer error="invalid_token"'),
        ([(b"x-authorization", f"Bearer {VALID}".encode())], "Bearer"),
        ([(b"cookie", f"authorization=Bearer {VALID}".encode())], "Bearer"),
    ],
)
async def test_the_header(headers: list[tuple[bytes, bytes]], challenge: str) -> None:
    assert (await refusal(headers)).headers == {"WWW-Authenticate": challenge}


PUBLISHED: dict[str, str] = {
    "a secret": VALID,
    "the PEM as the secret": confused(PEM),
    "the PEM as the secret, stripped": confused(PEM.strip()),
    "the DER as the secret": confused(DER),
    "the JWK as the secret": confused(json.dumps(RSA.jwk()).encode()),
    "the modulus as the secret": confused(base64.urlsafe_b64decode(RSA.jwk()["n"] + "==")),
    "an empty secret": confused(b""),
    "alg none": f"{segment({'alg': 'none', 'kid': 'rsa-1'})}.{BODY}.",
    "another key with the id": OTHER.token(),
    "ES256 with the id of the RSA key": EC.token(kid="rsa-1"),
    "RS256 with the id of the EC key": RSA.token(kid="ec-1"),
    "RS384": jwt.encode(claims(), RSA.private, algorithm="RS384", headers={"kid": "rsa-1"}),
    "RS512": jwt.encode(claims(), RSA.private, algorithm="RS512", headers={"kid": "rsa-1"}),
    "PS256": jwt.encode(claims(), RSA.private, algorithm="PS256", headers={"kid": "rsa-1"}),
    "ES384": jwt.encode(
        claims(),
        ec.generate_private_key(ec.SECP384R1()),
        algorithm="ES384",
        headers={"kid": "ec-1"},
    ),
    "kid unknown": RSA.token(kid="unknown"),
    "kid in another case": RSA.token(kid="RSA-1"),
    "kid empty": RSA.token(kid=""),
    "kid a path": RSA.token(kid="../../../../dev/null"),
    "kid SQL": RSA.token(kid="x' UNION SELECT 'secret' --"),
    "kid a command": RSA.token(kid="rsa-1|id"),
    "kid a URL": RSA.token(kid="https://evil.example/keys"),
    "kid a query": RSA.token(kid='{"$gt": ""}'),
    "kid with NUL": RSA.token(kid="rsa-1\0"),
    "kid long": RSA.token(kid="x" * 5000),
    "jku": OTHER.token(jku="https://evil.example/keys"),
    "x5u": OTHER.token(x5u="https://evil.example/cert"),
    "jwk": OTHER.token(jwk=OTHER.jwk()),
    "x5c": OTHER.token(x5c=["MIIB"]),
    "nested": jwt.encode(claims(), OTHER.private, algorithm="RS256", headers={"cty": "JWT"}),
    "no kid, another key": jwt.encode(claims(), OTHER.private, algorithm="RS256"),
}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider([RSA.jwk(), EC.jwk()]) as provider:
        yield provider


@pytest.mark.parametrize("name", PUBLISHED)
async def test_a_token_that_no_published_key_has_signed_is_refused(
    provider: Provider, name: str
) -> None:
    error = await refusal(bearer(PUBLISHED[name]), jwt_secret=None, jwks_url=provider.url)
    assert error.invalid
    assert "evil" not in error.detail and "secret" not in error.detail


@pytest.mark.parametrize(
    "token",
    [
        RSA.token(),
        EC.token(),
        jwt.encode(claims(), RSA.private, algorithm="RS256"),
        jwt.encode(claims(), EC.private, algorithm="ES256"),
        RSA.token(jku="https://evil.example/keys", typ="at+jwt"),
    ],
    ids=["RS256", "ES256", "RS256 without kid", "ES256 without kid", "ignored headers"],
)
async def test_a_token_that_a_published_key_has_signed_is_accepted(
    provider: Provider, token: str
) -> None:
    caller = await check(bearer(token), jwt_secret=None, jwks_url=provider.url)
    assert caller.subject == "ada"


async def test_a_token_is_remembered_until_it_expires() -> None:
    moments = iter([100.0, 110.0, 129.0, 131.0])
    async with Authenticator(settings(), lambda: next(moments)) as authenticator:
        headers = bearer(with_claims(exp=100))
        first = await authenticator.authenticate(headers)
        assert await authenticator.authenticate(headers) is first
        assert await authenticator.authenticate(headers) is first
        moments = iter([131.0, 131.0])
        with pytest.raises(Unauthenticated, match="expired"):
            await authenticator.authenticate(headers)
        assert not authenticator._verified


async def test_what_is_remembered_is_bounded_and_holds_no_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokens_module, "CACHED_TOKENS", 50)
    async with Authenticator(settings()) as authenticator:
        tokens = [with_claims(n=number) for number in range(60)]
        first = await authenticator.authenticate(bearer(tokens[0]))
        for token in tokens[:50]:
            await authenticator.authenticate(bearer(token))
        assert await authenticator.authenticate(bearer(tokens[0])) is first
        for token in tokens[50:]:
            await authenticator.authenticate(bearer(token))
        assert len(authenticator._verified) == 50
        # The ones that were used last are kept.
        assert await authenticator.authenticate(bearer(tokens[0])) is first
        remembered = repr(authenticator._verified)
        assert tokens[0] not in remembered and tokens[0].split(".")[2] not in remembered


async def test_refused_tokens_are_not_remembered() -> None:
    async with Authenticator(settings()) as authenticator:
        for token in list(TORTURE.values())[:20]:
            with pytest.raises(Unauthenticated):
                await authenticator.authenticate(bearer(token))
        assert not authenticator._verified
