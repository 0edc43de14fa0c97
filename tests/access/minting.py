"""Tokens for tests, signed with a secret."""

import time
from typing import Any

import jwt

# checkov:skip=CKV_SECRET_6:made up
SECRET = "a-secret-of-the-tests-with-more-than-32-bytes"


def token(subject: str, *roles: str, **claims: Any) -> str:
    """A token that is valid for an hour; `claims` replace or add claims, None removes one."""
    payload = {"sub": subject, "roles": list(roles), "exp": int(time.time()) + 3600} | claims
    present = {name: value for name, value in payload.items() if value is not None}
    return jwt.encode(present, SECRET, algorithm="HS256")


def bearer(subject: str, *roles: str, **claims: Any) -> dict[str, str]:
    """The header with such a token."""
    return {"Authorization": f"Bearer {token(subject, *roles, **claims)}"}
