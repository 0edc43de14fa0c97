"""The members of a published key set: which of them verify tokens."""

import json
from typing import Any

import hypothesis
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import strategies as st

from game_api.access import published
from game_api.access.published import FetchFailed, usable_key, usable_keys
from tests.access.provider import Provider, SigningKey, claims
from tests.access.verification import accepts, authenticating
from tests.waiting import WAIT_SECONDS

RSA, EC, GOOD = SigningKey.rsa("rsa"), SigningKey.ec("ec"), SigningKey.rsa("good")

UNUSABLE: dict[str, Any] = {
    "a short RSA key": SigningKey.rsa("rsa", 1024).jwk(),
    "a long RSA key": RSA.jwk(n=RSA.jwk()["n"] * 5),
    "for encryption": RSA.jwk(use="enc"),
    "for an unknown use": RSA.jwk(use=["sig"]),
    "for signing only": RSA.jwk(key_ops=["sign"]),
    "for operations that are no list": RSA.jwk(key_ops=5),
    "for operations that are null": RSA.jwk(key_ops=None),
    "of another algorithm": RSA.jwk(alg="RS512"),
    "of an algorithm for encryption": RSA.jwk(alg="RSA-OAEP"),
    "an RSA key for HS256": RSA.jwk(alg="HS256"),
    "an RSA key for ES256": RSA.jwk(alg="ES256"),
    "an EC key for RS256": EC.jwk(alg="RS256"),
    "an algorithm that is a list": RSA.jwk(alg=["RS256"]),
    "a secret": {"kty": "oct", "k": "c2VjcmV0", "kid": "rsa", "alg": "HS256"},
    "a secret in an RSA key": RSA.jwk(k="c2VjcmV0"),
    "a private RSA key": RSA.jwk(d="AQAB"),
    "a prime of a private RSA key": RSA.jwk(p="AQAB"),
    "a private EC key": EC.jwk(d=EC.jwk()["x"]),
    "another curve": SigningKey.ec("ec", ec.SECP384R1()).jwk(),
    "another curve of the same length": SigningKey.ec("ec", ec.SECP256K1()).jwk(),
    "an Edwards curve": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "ec"},
    "a point that is not on the curve": EC.jwk(x=EC.jwk()["y"]),
    "the point at infinity": EC.jwk(x="A" * 43, y="A" * 43),
    "a coordinate that is null": EC.jwk(x=None),
    "no modulus": {"kty": "RSA", "e": "AQAB", "kid": "rsa"},
    "an empty modulus": RSA.jwk(n=""),
    "no base64": RSA.jwk(n="!!!"),
    "a lone surrogate": RSA.jwk(n="\ud800"),
    "a modulus that is a number": RSA.jwk(n=5),
    "the exponent 1": RSA.jwk(e="AQ"),
    "an even exponent": RSA.jwk(e="Ag"),
    "a type that is a list": RSA.jwk(kty=["RSA"]),
    "no type": {"kid": "rsa"},
    "text": "rsa",
    "a list": [RSA.jwk()],
    "null": None,
}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer than three seconds for a provider on a slow machine."""
    monkeypatch.setattr(published, "FETCH_SECONDS", WAIT_SECONDS)


@pytest.mark.parametrize("name", UNUSABLE)
async def test_a_key_that_is_not_fit_is_not_used(name: str) -> None:
    """Others in the same set are."""
    member = UNUSABLE[name]
    with Provider([member, GOOD.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, GOOD.token())
            for key in (RSA, EC):
                assert not await accepts(authenticator, key.token())
    assert usable_key(member) is None


@pytest.mark.parametrize(
    "member",
    [
        RSA.jwk(),
        RSA.jwk(alg="RS256", use="sig", key_ops=["verify"]),
        RSA.jwk(x5c=["MIIB"], x5t="x", unknown={}),
        EC.jwk(alg="ES256", use="sig"),
        SigningKey.rsa("long", 4096).jwk(),
    ],
    ids=["RSA", "all members", "other members", "EC", "4096 bits"],
)
async def test_a_public_key_is_used(member: dict[str, Any]) -> None:
    key = usable_key(member)
    assert key is not None and key.kid == member["kid"]


async def test_a_token_without_a_kid_needs_the_only_key_of_its_type() -> None:
    nameless = jwt.encode(claims(), RSA.private, algorithm="RS256")
    unused = RSA.jwk(kid="unused", use="enc")
    for others, accepted in (([EC.jwk()], True), ([GOOD.jwk()], False), ([unused], True)):
        with Provider([RSA.jwk(), *others]) as provider:
            async with authenticating(provider.url) as authenticator:
                assert await accepts(authenticator, nameless) is accepted
                assert await accepts(authenticator, RSA.token())
                assert provider.requests == 1


async def test_a_key_without_a_kid_verifies_only_tokens_without_one() -> None:
    for kid in (None, 5, ["rsa"]):
        with Provider([RSA.jwk(kid=kid)]) as provider:
            async with authenticating(provider.url) as authenticator:
                assert await accepts(authenticator, SigningKey(None, RSA.private, "RS256").token())
                assert not await accepts(authenticator, RSA.token(kid="5"))


async def test_two_keys_with_the_same_id_are_told_apart_by_their_type() -> None:
    twin = SigningKey.ec("rsa")
    with Provider([RSA.jwk(), twin.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, RSA.token())
            assert await accepts(authenticator, twin.token())


async def test_the_first_one_of_two_keys_with_the_same_id_and_type_is_used() -> None:
    twin = SigningKey.rsa("rsa")
    with Provider([RSA.jwk(), twin.jwk()]) as provider:
        async with authenticating(provider.url) as authenticator:
            assert await accepts(authenticator, RSA.token())
            assert not await accepts(authenticator, twin.token())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
)
MEMBER = st.dictionaries(
    st.sampled_from(["kty", "crv", "n", "e", "x", "y", "d", "kid", "use", "alg", "key_ops"]), JSON
)
MEMBERS = (
    JSON
    | MEMBER
    | MEMBER.map(lambda changes: RSA.jwk() | changes)
    | MEMBER.map(lambda changes: EC.jwk() | changes)
)
DOCUMENTS = st.fixed_dictionaries({"keys": JSON | st.lists(MEMBERS, max_size=3)}) | JSON


@hypothesis.settings(deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(st.binary() | DOCUMENTS.map(lambda value: json.dumps(value).encode()))
def test_any_document_is_a_key_set_or_not(document: bytes) -> None:
    """Nothing that a document contains leads to another error."""
    try:
        assert list(usable_keys(document))
    except FetchFailed:
        pass
