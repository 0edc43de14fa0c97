"""The cost of access control for a request: in isolation, and of a whole request."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest

from game_api.access.policy import grant, permission_for
from game_api.access.tokens import Authenticator
from game_api.http.access import Gate
from game_api.settings import Settings
from tests.access.minting import SECRET, bearer, token
from tests.access.provider import AUDIENCE, ISSUER, Provider, SigningKey, claims
from tests.benchmarks.test_protocol import GET_PLAYER, PAIRS, PLAYER, ROUNDS, cost
from tests.http.wire import Wire, request
from tests.service import Service

CALLS, NEW_TOKENS = 5000, 300
READ, DELETE = permission_for("getPlayer"), permission_for("deletePlayer")


async def microseconds(gate: Gate, tokens: Sequence[str], calls: int) -> float:
    """The CPU time to admit a request with one of the tokens, and to check two permissions."""
    headers = [
        [
            (b"host", b"game-api"),
            (b"user-agent", b"benchmark"),
            (b"accept", b"*/*"),
            (b"authorization", b"Bearer " + each.encode()),
        ]
        for each in tokens
    ]
    started = time.process_time()
    for number in range(calls):
        scope = {"headers": headers[number % len(headers)], "client": ("192.0.2.1", 1)}
        caller = await gate.admit(scope)
        grant(READ, caller).check("ada")
        grant(DELETE, caller).check("ada")
    return (time.process_time() - started) / calls * 1e6


async def test_the_cost_of_admission() -> None:
    """A token that was seen before, and one that has to be verified."""
    key = SigningKey.rsa("rsa")
    with Provider([key.jwk()]) as provider:
        secret: dict[str, Any] = {"jwt_secret": SECRET}
        published: dict[str, Any] = {
            "jwks_url": provider.url,
            "jwt_issuer": ISSUER,
            "jwt_audience": AUDIENCE,
        }
        hs256 = [token("ada", "player", n=n) for n in range(NEW_TOKENS)]
        rs256 = [key.token(claims(n=n)) for n in range(NEW_TOKENS)]
        print("\nmicroseconds of CPU to authenticate a caller and to check two permissions:")
        for name, settings, tokens in (
            ("HS256", secret | {"rate_limit": "off"}, hs256),
            ("RS256", published | {"rate_limit": "off"}, rs256),
            ("HS256 with a rate limit", secret | {"rate_limit": "100000/day"}, hs256),
        ):
            given = Settings.model_validate({"auth": "jwt"} | settings)
            async with Authenticator(given) as authenticator:
                gate = Gate(given, authenticator)
                new = await microseconds(gate, tokens, NEW_TOKENS)
                rounds = [await microseconds(gate, tokens[:1], CALLS) for _ in range(5)]
                known = statistics.median(rounds)
            print(f"  {name:24} seen before {known:6.1f}, new {new:6.1f}")
            assert known < new


@pytest.mark.timeout(300)
def test_the_cost_of_access_control_for_a_request(service_database: str) -> None:
    """The same program with and without authentication; the rounds and the processes alternate."""
    settings = {"GAME_API_PORT": "0", "GAME_API_MONGODB_URI": service_database}
    jwt = {
        "GAME_API_AUTH": "jwt",
        "GAME_API_JWT_SECRET": SECRET,
        "GAME_API_RATE_LIMIT": "100000/day",
    }
    line = f"Authorization: {bearer('ada', 'player')['Authorization']}"
    fields = ("User-Agent: benchmark", "Accept: */*", "Accept-Encoding: gzip", line)
    with_token = request("GET", "/api/v1/players/ada", *fields)
    ratios = []
    for _ in range(PAIRS):
        with Service(settings) as open_service, Service(settings | jwt) as guarded:
            httpx2.post(f"{open_service.address}/api/v1/players", json=PLAYER)
            with Wire(open_service) as open_wire, Wire(guarded) as guarded_wire:
                for number in range(2 + ROUNDS):  # The first two rounds warm both services up.
                    without = cost(open_service, open_wire, GET_PLAYER)
                    ratio = cost(guarded, guarded_wire, with_token) / without
                    if number >= 2:
                        ratios.append(ratio)
    print(
        "\nGET of a player with a token and a rate limit, compared with one without "
        f"authentication: {statistics.median(ratios):.3f} of the CPU time "
        f"(median of {len(ratios)} rounds)"
    )
