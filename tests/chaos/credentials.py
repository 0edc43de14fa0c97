"""The tokens and keys of a run, and how they are found where they must not be."""

import secrets
import time
from collections.abc import Iterable, Iterator

import jwt

from tests.chaos.history import Operation

LIFETIME = 3600
"""In seconds; no run takes longer."""
EXPIRED_FOR = 120
"""How many seconds ago a wrong token expired: more than all clocks together can be off."""
KEY_PREFIX = "idempotency-key-of-"
TOKEN_PREFIX = "eyJ"
"""How every token begins, because its header is a JSON object."""


class Credentials:
    """The secret of a run, which signs the tokens of its clients."""

    def __init__(self) -> None:
        self._secret, self._other_secret = secrets.token_hex(32), secrets.token_hex(32)
        self._headers: dict[tuple[str, str, str], dict[str, str]] = {}

    def environment(self) -> dict[str, str]:
        """The settings by which the service requires these tokens."""
        return {
            "GAME_API_AUTH": "jwt",
            "GAME_API_JWT_SECRET": self._secret,
            "GAME_API_RATE_LIMIT": "off",
            "GAME_API_AUTH_FAILURE_LIMIT": "off",
        }

    def headers(self, operation: Operation) -> dict[str, str]:
        """The header with the token of whoever sends the operation; none if it is missing."""
        if operation.token == "missing":
            return {}
        caller = (operation.role, operation.subject, operation.token)
        if caller not in self._headers:
            self._headers[caller] = {"Authorization": f"Bearer {self._token(*caller)}"}
        return self._headers[caller]

    def _token(self, role: str, subject: str, token: str) -> str:
        expires = time.time() + (-EXPIRED_FOR if token == "expired" else LIFETIME)
        claims = {"sub": subject, "roles": [role], "exp": int(expires)}
        secret = self._other_secret if token == "forged" else self._secret
        return jwt.encode(claims, secret, algorithm="HS256")

    def leaks(self, lines: Iterable[str]) -> Iterator[str]:
        """The lines that contain a token, the secret or an `Idempotency-Key`."""
        hidden = (self._secret, self._other_secret, TOKEN_PREFIX, KEY_PREFIX)
        return (line for line in lines if any(text in line for text in hidden))
