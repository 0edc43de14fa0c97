"""Removal of secrets from log lines."""

import re
from urllib.parse import unquote

from pydantic import SecretStr

from game_api.settings import Settings

SECRETS = re.compile(
    r"(?P<uri>\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@\"']+@"
    r"|(?P<name>\b(?:authorization|password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key)"
    r"\w*[\"']?\s*[=:]\s*(?:[\"']\s*)?(?:bearer\s+|basic\s+)?)[^\s\"',&;}]+"
    r"|\bbearer\s+[^\s\"',]+"
    r"|\beyJ[\w-]{5,}(?:\.[\w-]*)*"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}",
    re.IGNORECASE,
)
"""Credentials in connection strings, `password=...` and similar, bearer tokens, JWTs, AWS keys."""

HINTS = (":", "=", "bearer", "eyj", "akia", "asia")
"""A text without any of these, in lower case, matches nothing above, and most have none."""

PASSWORD = re.compile(r"://[^/@:]*:([^/@]{4,})@")


class Redactor:
    """Replaces secrets in a text by `***`.

    It knows the secret settings, the secrets that were added, and the usual forms of credentials.
    """

    def __init__(self, settings: Settings) -> None:
        self._secrets: tuple[str, ...] = ()
        values = [getattr(settings, name) for name in type(settings).model_fields]
        secrets = [v.get_secret_value() for v in values if isinstance(v, SecretStr)]
        for secret in secrets:
            self.add(secret)
        for secret in secrets:
            if found := PASSWORD.search(secret):  # In a connection string, quoted and unquoted.
                self.add(found[1])
                self.add(unquote(found[1]))

    def add(self, secret: str) -> None:
        """Replace this secret from now on as well."""
        # A new tuple, because another thread may be iterating over the present one.
        if secret not in self._secrets:
            self._secrets = (*self._secrets, secret)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        folded = text.lower()
        if not any(hint in folded for hint in HINTS):  # The search would take ten times as long.
            return text
        return SECRETS.sub(
            lambda found: f"{found['uri'] or found['name'] or ''}***{'@' if found['uri'] else ''}",
            text,
        )
