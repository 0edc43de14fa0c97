"""Tokens and the process: the command that mints them, and what is logged."""

import os
import sys
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from game_api.__main__ import main
from game_api.access.caller import Caller
from tests.access.minting import SECRET
from tests.access.provider import AUDIENCE, ISSUER, Provider, SigningKey, bearer, send
from tests.access.verification import check, signed
from tests.service import Service

Start = Callable[..., Service]


Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def mint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `game-api token` with these arguments; returns the exit code and both outputs."""

    def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
        for name in [name for name in os.environ if name.startswith("GAME_API_")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["game-api", "token", *arguments])
        try:
            main()
            code: Any = 0
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run


async def test_a_minted_token_has_the_configured_claims(mint: Command) -> None:
    """Neither GAME_API_AUTH nor a database is needed."""
    code, output, errors = mint(
        *("--role", "player", "--role", "server", "--subject", "ada", "--expires-in", "60"),
        GAME_API_JWT_SECRET=SECRET,
        GAME_API_JWT_ISSUER=ISSUER,
        GAME_API_JWT_AUDIENCE=f"{AUDIENCE}, second",
        GAME_API_JWT_ROLES_CLAIM="scope",
        GAME_API_JWT_ROLES_PREFIX="game-api/",
    )
    assert (code, errors) == (0, "")
    (line,) = output.splitlines()
    caller = await check(bearer(line), jwt_roles_claim="scope", jwt_roles_prefix="game-api/")
    assert caller == Caller("ada", frozenset({"player", "server"}))


@pytest.mark.parametrize(
    ("subject", "arguments", "environment", "mistake"),
    [
        ("ada", (), {}, "set GAME_API_JWT_SECRET"),
        ("ada", (), {"GAME_API_JWKS_URL": "https://a/b"}, "the identity provider of"),
        ("ada", (), {"GAME_API_JWT_SECRET": "x"}, "at least 32 bytes"),
        ("a b", (), {"GAME_API_JWT_SECRET": SECRET}, "--subject must be a player_id"),
        ("", (), {"GAME_API_JWT_SECRET": SECRET}, "--subject must be a player_id"),
        ("x" * 65, (), {"GAME_API_JWT_SECRET": SECRET}, "--subject must be a player_id"),
        ("ada", ("--expires-in", "0"), {"GAME_API_JWT_SECRET": SECRET}, "--expires-in must be"),
    ],
)
def test_a_token_that_can_not_be_minted_is_one_line_and_exit_code_2(
    mint: Command,
    subject: str,
    arguments: tuple[str, ...],
    environment: dict[str, str],
    mistake: str,
) -> None:
    code, output, errors = mint("--role", "player", "--subject", subject, *arguments, **environment)
    assert (code, output) == (2, "")
    (line,) = errors.splitlines()
    assert line.startswith("game-api: ") and mistake in line


@pytest.mark.parametrize("subject", ["", "x" * 256, "a\nb"])
def test_the_subject_of_a_server_is_one_that_the_service_accepts(
    mint: Command, subject: str
) -> None:
    code, _, errors = mint("--role", "server", "--subject", subject, GAME_API_JWT_SECRET=SECRET)
    assert code == 2 and "--subject must have 1-255 printable" in errors


def test_no_line_shows_a_token_or_the_query_of_the_address_of_the_keys(
    start_service: Start,
) -> None:
    key, other = SigningKey.rsa("known"), SigningKey.rsa("known")
    tokens = [key.token(), other.token(), key.token(kid="made-up"), signed(), "a.b.c-wrong-token"]
    with Provider([key.jwk()]) as provider:
        service = start_service(
            GAME_API_AUTH="jwt",
            GAME_API_JWKS_URL=f"{provider.url}?code=hunter2",
            GAME_API_JWT_ISSUER=ISSUER,
            GAME_API_JWT_AUDIENCE=AUDIENCE,
            GAME_API_LOG_LEVEL="debug",
        )
        with service, httpx2.Client(base_url=service.address) as client:
            statuses = [
                client.get(
                    "/api/v1/sessions", headers={"Authorization": f"Bearer {token}"}
                ).status_code
                for token in tokens
            ]
            assert statuses == [200, 401, 401, 401, 401] and provider.requests == 2
            provider.respond = lambda handler: send(handler, 500, b"")
            assert service.terminate() == 0
    assert '"status":401' in service.output and "hunter2" not in service.output
    for token in tokens:
        assert token not in service.output and token.rpartition(".")[2] not in service.output
