"""The authentication of the service that the clients run against."""

import os
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property

import jwt

SUBJECT = "tests"
ROLE = "admin"
VALID_SECONDS = 86400
LEEWAY = 30
"""For how many seconds the service accepts a token that has expired."""


@dataclass(frozen=True)
class Access:
    """A secret that only this run knows, and the tokens that are signed with it."""

    secret: str

    @property
    def settings(self) -> dict[str, str]:
        """What the service needs. All clients have the same subject, so there are no limits."""
        return {
            "GAME_API_AUTH": "jwt",
            "GAME_API_JWT_SECRET": self.secret,
            "GAME_API_RATE_LIMIT": "off",
            "GAME_API_AUTH_FAILURE_LIMIT": "off",
        }

    @cached_property
    def environment(self) -> dict[str, str]:
        """What the clients need: a token for everything, and one that has expired."""
        command = [sys.executable, "-m", "game_api", "token", "--role", ROLE, "--subject", SUBJECT]
        command += ["--expires-in", str(VALID_SECONDS)]
        token = subprocess.check_output(command, env=os.environ | self.settings, text=True).strip()
        claims = {"sub": SUBJECT, "roles": [ROLE], "exp": int(time.time()) - 2 * LEEWAY}
        expired = jwt.encode(claims, self.secret, algorithm="HS256")
        return {"GAME_API_TOKEN": token, "GAME_API_EXPIRED_TOKEN": expired}


def new_access() -> Access:
    return Access(secrets.token_urlsafe(32))
