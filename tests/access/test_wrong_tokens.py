"""Wrong tokens: each is refused with the reason, and without any part of the token."""

import base64
import json
import string
import time
import zlib
from collections.abc import Iterator
from typing import Any

import hypothesis
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import strategies as st

from game_api.access.caller import Caller
from game_api.access.errors import Unauthenticated
from game_api.access.tokens import MAX_TOKEN_BYTES, Authenticator
from tests.access.minting import SECRET
from tests.access.provider import ISSUER, Provider, SigningKey, bearer, claims, segment
from tests.access.verification import INVALID, check, refusal, settings, signed, with_claims

RSA = SigningKey.rsa("rsa-1")
EC = SigningKey.ec("ec-1")
OTHER = SigningKey.rsa("rsa-1")
"""A key that the provider does not publish, under an id that it does."""

NOW = int(time.time())
VALID = signed()
HEAD, BODY, SIGNATURE = VALID.split(".")
PEM = RSA.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
DER = RSA.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def standard_alphabet() -> str:
    """A token in base64 instead of base64url, where that makes a difference."""
    tokens = (signed(claims(n=number)) for number in range(1000))
    return next(token for token in tokens if "-" in token or "_" in token).translate(
        str.maketrans("-_", "+/")
    )


def by_number(name: str, text: str) -> str:
    """A token in which a claim is a number that only JSON can express."""
    return signed(json.dumps(claims() | {name: "NUMBER"}).replace('"NUMBER"', text))


def by(key: SigningKey, algorithm: str, kid: str = "rsa-1") -> str:
    """A token with this algorithm."""
    return jwt.encode(claims(), key.private, algorithm=algorithm, headers={"kid": kid})


def with_signature(key: SigningKey, algorithm: str, kid: str) -> str:
    """A token whose header names another algorithm than the one of the signature."""
    head = segment({"alg": algorithm, "kid": kid})
    signature = key.token().split(".")[2]
    return f"{head}.{BODY}.{signature}"


ODD_VALUES: tuple[Any, ...] = (None, 5, [], ["HS256"], {}, {"a": 1}, True)
HS256_ONLY = "The token must be signed with HS256."
WITH_A_SECRET: dict[str, dict[str, str | bytes]] = {
    "The header Authorization has no token.": {"empty": "", "one space": " "},
    f"The token is longer than {MAX_TOKEN_BYTES} bytes.": {
        "oversized": signed(claims(padding="x" * MAX_TOKEN_BYTES)),
        "a kid of a megabyte": signed(kid="x" * 2**20),
        "a megabyte of dots": "." * 2**20,
        "a megabyte of spaces": " " * 2**20,
    },
    "The token is malformed.": {
        "not a token": "wrong",
        "only dots": "..",
        "four dots": f"{VALID}..",
        "a fourth part": f"{VALID}.{SIGNATURE}",
        "five parts": f"{HEAD}.{BODY}.{SIGNATURE}.{BODY}.{SIGNATURE}",
        "no header": f".{BODY}.{SIGNATURE}",
        "two parts": f"{HEAD}.{BODY}",
        "something behind a space": f"{VALID} x",
        "trailing space": f"{VALID} ",
        "a leading tab": f"\t{VALID}",
        "a tab inside": f"{HEAD}.\t{BODY}.{SIGNATURE}",
        "a line break inside": f"{HEAD}.{BODY[:9]}\r\n{BODY[9:]}.{SIGNATURE}",
        "two tokens": f"{VALID}, {VALID}",
        "quoted": f'"{VALID}"',
        "unicode": "ädä.ö.ü".encode(),
        "digits of another script": f"{HEAD}.{BODY}.{SIGNATURE[:-1]}٣".encode(),
        "not UTF-8": b"\xff\xfe.\xff.\xff",
        "NUL": VALID.encode() + b"\0",
        "payload is no JSON": signed("x"),
        "payload is empty": signed(""),
        "payload is a list": signed([1]),
        "payload is a string": signed('"ada"'),
        "payload is null": signed("null"),
        "payload is not UTF-8": signed(b'{"sub": "\xff"}'),
        "payload is nested deeply": signed("[" * 3000 + "]" * 3000),
        "payload is another token": signed(VALID, cty="JWT"),
        "payload is compressed": signed(zlib.compress(json.dumps(claims()).encode()), zip="DEF"),
        "payload has a huge number": signed('{"sub": "ada", "exp": ' + "9" * 5000 + "}"),
        "payload goes on": signed(json.dumps(claims()) + "{}"),
        "header is a list": signed(head=[1]),
        "header is null": signed(head="null"),
        "header is no JSON": signed(head="x"),
        "header is nested deeply": signed(head="[" * 4000),
        "header has a huge number": signed(head='{"alg": "HS256", "n": ' + "9" * 5000 + "}"),
        "standard base64": standard_alphabet(),
        "base64 of an impossible length": f"{HEAD}.{BODY}.{SIGNATURE}AA",
        "too much padding": f"{VALID}==",
        "padding inside": f"{HEAD}.{BODY}.{SIGNATURE[:8]}={SIGNATURE[8:]}",
        "b64 false": signed(b64=False, crit=["b64"]),
        "b64 false, no payload": signed("", b64=False, crit=["b64"]),
        "b64 false, not critical": signed(b64=False),
    },
    "The signature of the token is wrong.": {
        "no signature": f"{HEAD}.{BODY}.",
        "no payload": f"{HEAD}..{SIGNATURE}",
        "a longer signature": f"{VALID}A",
        "another secret": signed(secret=SECRET + "x"),
        "no secret": signed(secret=b""),
        "another payload": f"{HEAD}.{segment(claims('eve', 'admin'))}.{SIGNATURE}",
        "another header": f"{segment({'alg': 'HS256', 'typ': 'x'})}.{BODY}.{SIGNATURE}",
        "signature of another token": f"{HEAD}.{BODY}.{signed(claims('bob')).split('.')[2]}",
        "a changed signature": VALID[:-4] + ("AAAA" if VALID[-4:] != "AAAA" else "BBBB"),
        "a short signature": f"{HEAD}.{BODY}.{SIGNATURE[:20]}",
        "zeros": f"{HEAD}.{BODY}.{segment(bytes(32))}",
        "a signature of RS256": with_signature(RSA, "HS256", "rsa-1"),
    },
    HS256_ONLY: {
        **{
            f"alg {spelling}": f"{segment({'alg': spelling})}.{BODY}."
            for spelling in ("none", "None", "NONE", "nOnE", "none ", "")
        },
        **{f"alg {value!r}": signed(alg=value) for value in ODD_VALUES},
        "alg none with a signature": signed(alg="none"),
        "alg twice, at last none": signed(head='{"alg": "HS256", "alg": "none"}'),
        "no alg": signed(head={"typ": "JWT"}),
        "alg hs256": signed(alg="hs256"),
        "alg HS256 and a NUL": signed(alg="HS256\0"),
        "HS384": jwt.encode(claims(), SECRET * 2, algorithm="HS384"),
        "HS512": jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
        "HS512 in the header alone": signed(alg="HS512"),
        "RS256": RSA.token(),
        "ES256": EC.token(),
    },
    "The header of the token has a `kid` or `crit` that is not supported.": {
        "crit unknown": signed(crit=["x"], x=1),
        "crit known and unknown": signed(crit=["b64", "x"], b64=True, x=1),
        "crit exp": signed(crit=["exp"]),
        "crit without the member": signed(crit=["b64"]),
        "crit empty": signed(crit=[]),
        "crit text": signed(crit="b64"),
        "crit null": signed(crit=None),
        "crit with a number": signed(crit=[1]),
        **{f"kid {value!r}": signed(kid=value) for value in ODD_VALUES},
    },
    "The token has expired.": {
        "expired": with_claims(exp=NOW - 60),
        "expired long ago": with_claims(exp=0),
        "expired before time began": with_claims(exp=-(10**30)),
        "exp -1e308": by_number("exp", "-1e308"),
    },
    "The claim `exp` must be a number.": {
        "exp text": with_claims(exp=str(NOW + 60)),
        "exp empty": with_claims(exp=""),
        "exp true": with_claims(exp=True),
        "exp false": with_claims(exp=False),
        "exp a list": with_claims(exp=[NOW + 60]),
        "exp an object": with_claims(exp={"$date": NOW + 60}),
        "exp NaN": by_number("exp", "NaN"),
        "exp 1e400": by_number("exp", "1e400"),
        "exp Infinity": by_number("exp", "Infinity"),
    },
    "The token needs the claim `exp`.": {
        "exp missing": with_claims(exp=None),
        "exp null": signed(claims() | {"exp": None}),
        "no claims": signed({}),
    },
    "The token is not valid yet.": {
        "nbf in the future": with_claims(nbf=NOW + 3600),
        "nbf huge": by_number("nbf", "9" * 400),
    },
    "The claim `nbf` must be a number.": {
        "nbf text": with_claims(nbf="0"),
        "nbf false": with_claims(nbf=False),
        "nbf null": signed(claims() | {"nbf": None}),
        "nbf NaN": by_number("nbf", "NaN"),
        "nbf -1e400": by_number("nbf", "-1e400"),
    },
    "The token is from another issuer.": {
        "iss wrong": with_claims(iss="https://evil.example"),
        "iss a list": with_claims(iss=[ISSUER]),
        "iss null": signed(claims() | {"iss": None}),
        "iss with a slash": with_claims(iss=ISSUER + "/"),
        "iss in capitals": with_claims(iss=ISSUER.upper()),
    },
    "The token needs the claim `iss`.": {"iss missing": with_claims(iss=None)},
    "The token is for another audience.": {
        "aud wrong": with_claims(aud="x"),
        "aud missing": with_claims(aud=None),
        "aud null": signed(claims() | {"aud": None, "client_id": "game-api"}),
    },
    "The token needs the claim `sub`.": {
        "sub missing": with_claims(sub=None),
        "sub null": signed(claims() | {"sub": None}),
    },
    "The subject (`sub`) must be a printable text of 1-255 characters.": {
        "sub empty": with_claims(sub=""),
        "sub a number": with_claims(sub=7),
        "sub false": with_claims(sub=False),
        "sub a list": with_claims(sub=["ada"]),
        "sub too long": with_claims(sub="x" * 256),
        "sub with a line break": with_claims(sub="ada\nbob"),
        "sub with NUL": with_claims(sub="ada\0"),
        "sub with a lone surrogate": with_claims(sub="ada\ud800"),
        "sub that changes the direction of text": with_claims(sub="ada\u202e"),
    },
}

JWKS_ONLY = "The token must be signed with RS256 or ES256."
WITH_PUBLISHED_KEYS: dict[str, dict[str, str]] = {
    JWKS_ONLY: {
        "a secret": VALID,
        "the PEM as the secret": signed(secret=PEM, kid="rsa-1"),
        "the PEM as the secret, stripped": signed(secret=PEM.strip(), kid="rsa-1"),
        "the DER as the secret": signed(secret=DER, kid="rsa-1"),
        "the JWK as the secret": signed(secret=json.dumps(RSA.jwk()), kid="rsa-1"),
        "the modulus as the secret": signed(
            secret=base64.urlsafe_b64decode(RSA.jwk()["n"] + "=="), kid="rsa-1"
        ),
        "the URL of the keys as the secret": signed(secret=f"{ISSUER}/keys", kid="rsa-1"),
        "an empty secret": signed(secret=b"", kid="rsa-1"),
        "alg none": f"{segment({'alg': 'none', 'kid': 'rsa-1'})}.{BODY}.",
        "RS384": by(RSA, "RS384"),
        "RS512": by(RSA, "RS512"),
        "PS256": by(RSA, "PS256"),
        "ES384": by(SigningKey.ec("ec-1", ec.SECP384R1()), "ES384", "ec-1"),
    },
    "The signature of the token is wrong.": {
        "another key with the id": OTHER.token(),
        "a signature of ES256 for an RSA key": with_signature(EC, "RS256", "rsa-1"),
        "a signature of RS256 for an EC key": with_signature(RSA, "ES256", "ec-1"),
        "a signature of HS256 for an RSA key": f"{segment({'alg': 'RS256'})}.{BODY}.{SIGNATURE}",
        "no signature": f"{segment({'alg': 'RS256', 'kid': 'rsa-1'})}.{BODY}.",
        "zeros for an EC key": f"{segment({'alg': 'ES256'})}.{BODY}.{segment(bytes(64))}",
        "an address of keys (jku)": OTHER.token(jku="https://evil.example/keys"),
        "an address of a certificate (x5u)": OTHER.token(x5u="https://evil.example/cert"),
        "its own key (jwk)": OTHER.token(jwk=OTHER.jwk()),
        "its own certificate (x5c)": OTHER.token(x5c=["MIIB"]),
        "no kid, another key": jwt.encode(claims(), OTHER.private, algorithm="RS256"),
    },
    "The token is signed with an unknown key (`kid`).": {
        "ES256 with the id of the RSA key": EC.token(kid="rsa-1"),
        "RS256 with the id of the EC key": RSA.token(kid="ec-1"),
        "kid unknown": RSA.token(kid="unknown"),
        "kid in another case": RSA.token(kid="RSA-1"),
        "kid empty": RSA.token(kid=""),
        "kid a path": RSA.token(kid="../../../../dev/null"),
        "kid SQL": RSA.token(kid="x' UNION SELECT 'secret' --"),
        "kid a command": RSA.token(kid="rsa-1|id"),
        "kid a URL": RSA.token(kid="https://evil.example/keys"),
        "kid a query": RSA.token(kid='{"$gt": ""}'),
        "kid with NUL": RSA.token(kid="rsa-1\0"),
        "kid with a lone surrogate": RSA.token(kid="\ud800"),
        "kid long": RSA.token(kid="x" * 5000),
    },
}


def named(tables: dict[str, Any]) -> list[Any]:
    """A parameter for each token: its reason and itself, under its name."""
    return [
        pytest.param(reason, token, id=name)
        for reason, tokens in tables.items()
        for name, token in tokens.items()
    ]


@pytest.mark.parametrize(("reason", "token"), named(WITH_A_SECRET))
async def test_a_wrong_token_is_refused(reason: str, token: str | bytes) -> None:
    error = await refusal(bearer(token))
    assert (error.status, error.code, error.detail) == (401, "unauthenticated", reason)
    assert error.headers == {"WWW-Authenticate": INVALID} and not error.extra


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider([RSA.jwk(), EC.jwk()]) as provider:
        yield provider


@pytest.mark.parametrize(("reason", "token"), named(WITH_PUBLISHED_KEYS))
async def test_a_token_that_no_published_key_has_signed_is_refused(
    provider: Provider, reason: str, token: str
) -> None:
    error = await refusal(bearer(token), jwt_secret=None, jwks_url=provider.url)
    assert error.invalid and error.detail == reason


@pytest.mark.parametrize("position", range(0, len(VALID), 5))
async def test_a_truncated_token_is_refused(position: int) -> None:
    await refusal(bearer(VALID[:position]))


@pytest.mark.parametrize("dot", [len(HEAD), len(HEAD) + 1 + len(BODY)])
@pytest.mark.parametrize("offset", [-1, 0, 1, 2])
async def test_a_token_that_ends_around_a_dot_is_refused(dot: int, offset: int) -> None:
    await refusal(bearer(VALID[: dot + offset]))


async def test_no_other_last_character_of_a_signature_is_accepted() -> None:
    """It has bits that do not count."""
    accepted = [
        last
        for last in string.ascii_letters + string.digits + "-_"
        if not isinstance(await outcome(f"{VALID[:-1]}{last}"), Unauthenticated)
    ]
    assert accepted == [VALID[-1]]


async def outcome(token: str) -> Caller | Unauthenticated:
    try:
        return await check(bearer(token))
    except Unauthenticated as error:
        return error


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
)
CLAIMS = st.fixed_dictionaries(
    {}, optional={n: JSON for n in ("sub", "exp", "nbf", "iat", "iss", "aud", "client_id", "roles")}
)
HEADERS = st.fixed_dictionaries(
    {"alg": st.just("HS256") | JSON},
    optional={name: JSON for name in ("kid", "crit", "b64", "typ", "cty", "zip", "jwk")},
)


AUTHENTICATOR = Authenticator(settings())


@hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
@hypothesis.given(st.binary() | st.builds(signed, CLAIMS, head=HEADERS).map(str.encode))
async def test_any_token_is_accepted_or_refused(token: bytes) -> None:
    """Nothing that a token contains leads to another error."""
    try:
        await AUTHENTICATOR.authenticate(bearer(token))
    except Unauthenticated:
        pass


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ([], "Bearer"),
        ([(b"authorization", b"")], "Bearer"),
        ([(b"authorization", f"Basic {VALID}".encode())], "Bearer"),
        ([(b"authorization", VALID.encode())], "Bearer"),
        ([(b"authorization", f"Bearer\t{VALID}".encode())], "Bearer"),
        ([(b"authorization", f"Bearer{VALID}".encode())], "Bearer"),
        ([(b"authorization", f"Bearer,{VALID}".encode())], "Bearer"),
        ([(b"authorization", b"Bearer")], INVALID),
        ([(b"authorization", b"Bearer ")], INVALID),
        (bearer(VALID) * 2, INVALID),
        ([*bearer(VALID), (b"authorization", b"Basic x")], INVALID),
        ([(b"authorization", b""), *bearer(VALID)], INVALID),
        ([(b"authorization", f"Bearer Bearer {VALID}".encode())], INVALID),
        ([(b"x-authorization", f"Bearer {VALID}".encode())], "Bearer"),
        ([(b"proxy-authorization", f"Bearer {VALID}".encode())], "Bearer"),
        ([(b"cookie", f"authorization=Bearer {VALID}".encode())], "Bearer"),
    ],
)
async def test_a_wrong_header_is_refused(
    headers: list[tuple[bytes, bytes]], challenge: str
) -> None:
    error = await refusal(headers)
    assert error.headers == {"WWW-Authenticate": challenge}
    assert VALID not in error.detail
