"""The keys that verify tokens: a secret, or the public keys that an identity provider publishes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from game_api.settings import Settings


@dataclass(frozen=True, eq=False)
class Key:
    """A key, and the only algorithm that it is used with."""

    algorithm: str
    material: Any
    """The key in the form that PyJWT takes."""
    kid: str | None = None


class Keys(Protocol):
    """The keys that are in use. `version` changes with each change of the keys."""

    algorithms: Sequence[str]
    version: int

    async def find(self, algorithm: str, kid: str | None) -> Key | None:
        """The key with this id for this algorithm, both as a token names them.

        Raises KeysUnavailable.
        """
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...


def open_keys(settings: Settings) -> Keys:
    """The keys that the settings name."""
    if settings.jwt_secret is not None:
        return SecretKey(settings.jwt_secret.get_secret_value())
    # This module imports an HTTP client, which takes a twentieth of a second.
    from game_api.access.published import PublishedKeys

    assert settings.jwks_url is not None
    return PublishedKeys(settings.jwks_url)


class SecretKey:
    """A secret that both signs and verifies tokens. It has no id."""

    algorithms: Sequence[str] = ("HS256",)
    version = 0

    def __init__(self, secret: str) -> None:
        self._key = Key("HS256", secret)

    async def find(self, algorithm: str, kid: str | None) -> Key | None:
        return self._key if algorithm == self._key.algorithm else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass
