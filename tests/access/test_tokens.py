"""Tokens that are accepted, the caller that they name, and how they are remembered."""

import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from game_api.access import tokens as tokens_module
from game_api.access.caller import Caller
from game_api.access.errors import Unauthenticated
from game_api.access.tokens import Authenticator
from tests.access.provider import AUDIENCE, Provider, SigningKey, bearer, claims
from tests.access.verification import check, refusal, settings, signed, with_claims

RSA, EC = SigningKey.rsa("rsa-1"), SigningKey.ec("ec-1")
VALID = signed()


async def test_a_valid_token_names_the_caller() -> None:
    caller = await check(bearer(signed(claims("ada", "player", "painter"))))
    assert (caller.subject, caller.role) == ("ada", "player")
    assert caller.roles == {"player"}


@pytest.mark.parametrize(
    "header", [b"Bearer ", b"bearer ", b"BEARER ", b"bEaReR ", b"Bearer   "], ids=bytes.decode
)
async def test_the_scheme_is_accepted_in_any_case_and_with_several_spaces(header: bytes) -> None:
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


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with Provider([RSA.jwk(), EC.jwk()]) as provider:
        yield provider


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


LONG = "9" * 400
"""An integer that no float can hold."""
UNUSUAL = {
    "typ at+jwt": signed(typ="at+jwt"),
    "typ null": signed(typ=None),
    "typ a number": signed(typ=7),
    "no typ": signed(head={"alg": "HS256"}),
    "a kid": signed(kid="../../dev/null"),
    "headers that are not used": signed(jku="https://evil.example", x5c=["x"], jwk={"kty": "oct"}),
    "zip, although nothing is compressed": signed(zip="DEF"),
    "b64, as it is anyway": signed(b64=True, crit=["b64"]),
    "a header member twice: the last one counts": signed(head='{"alg": "none", "alg": "HS256"}'),
    "a claim twice: the last one counts": signed(
        json.dumps(claims("ada")).replace("{", '{"sub": "eve", "exp": 1, ', 1)
    ),
    "white space in the JSON": signed(json.dumps(claims(), indent=4)),
    "padding, which some issuers add": f"{VALID}=",
    "exp huge": signed(json.dumps(claims(exp=1.5)).replace("1.5", LONG)),
    "exp 1e308": with_claims(exp=1e308),
    "exp a fraction": with_claims(exp=claims()["exp"] + 0.5),
    "nbf negative and huge": signed(json.dumps(claims(nbf=1.5)).replace("1.5", f"-{LONG}")),
    "iat in the future": with_claims(iat=claims()["exp"] + 9999),
    "iat a text": with_claims(iat="yesterday"),
    "iat null": signed(claims() | {"iat": None}),
    "jti a number": with_claims(jti=7),
    "other claims": with_claims(scope="x", admin=True, roles=["player", "root"]),
}


@pytest.mark.parametrize("name", UNUSUAL)
async def test_an_unusual_token_is_accepted(name: str) -> None:
    caller = await check(bearer(UNUSUAL[name]))
    assert caller == Caller("ada", frozenset({"player"}))


@pytest.mark.parametrize("subject", ["x" * 255, "auth0|5f7c", "ädä", "a b", "名前", "\U0001f600"])
async def test_a_subject_is_any_printable_text(subject: str) -> None:
    assert (await check(bearer(with_claims(sub=subject)))).subject == subject


async def test_a_token_is_remembered_until_it_expires() -> None:
    now = 100.0
    async with Authenticator(settings(), lambda: now) as authenticator:
        headers = bearer(with_claims(exp=100))
        first = await authenticator.authenticate(headers)
        for now in (110.0, 129.9):
            assert await authenticator.authenticate(headers) is first
        now = 130.0
        with pytest.raises(Unauthenticated, match="expired"):
            await authenticator.authenticate(headers)
        assert not authenticator._verified


async def test_a_token_of_another_caller_is_not_taken_for_one_that_is_remembered() -> None:
    async with Authenticator(settings()) as authenticator:
        assert (await authenticator.authenticate(bearer(VALID))).subject == "ada"
        assert (await authenticator.authenticate(bearer(with_claims(sub="bob")))).subject == "bob"
        for wrong in (VALID[:-1], VALID + "A", VALID.swapcase()):
            with pytest.raises(Unauthenticated):
                await authenticator.authenticate(bearer(wrong))
        assert (await authenticator.authenticate(bearer(VALID))).subject == "ada"


async def test_what_is_remembered_is_bounded_and_holds_no_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokens_module, "CACHED_TOKENS", 50)
    async with Authenticator(settings()) as authenticator:
        tokens = [with_claims(sub=str(number)) for number in range(60)]
        first = await authenticator.authenticate(bearer(tokens[0]))
        for token in tokens[:50]:
            await authenticator.authenticate(bearer(token))
        assert await authenticator.authenticate(bearer(tokens[0])) is first
        for token in tokens[50:]:
            await authenticator.authenticate(bearer(token))
        # The ones that were used last are kept.
        kept = {verified.caller.subject for verified in authenticator._verified.values()}
        assert kept == {"0"} | {str(number) for number in range(11, 60)}
        assert await authenticator.authenticate(bearer(tokens[0])) is first
        remembered = repr(authenticator._verified)
        assert tokens[0] not in remembered and tokens[0].split(".")[2] not in remembered


async def test_refused_tokens_are_not_remembered() -> None:
    async with Authenticator(settings()) as authenticator:
        for token in ("x", signed(secret="x"), with_claims(exp=1), with_claims(sub="")):
            with pytest.raises(Unauthenticated):
                await authenticator.authenticate(bearer(token))
        assert not authenticator._verified
