"""An OpenID Connect provider on the internet, built with Authlib: the issuer of all tokens.

Its clients are servers of the game and administrators, who get tokens by client credentials. The
keys that sign tokens can be rotated at any time.
"""

import itertools
import logging
import ssl
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from authlib.oidc.discovery import OpenIDProviderMetadata
from flask import Flask
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import make_server

from tests.e2e.network import PROVIDER
from tests.e2e.paths import CERTIFICATE
from tests.e2e.processes import print_progress

ISSUER = f"https://{PROVIDER}"
JWKS_URL = f"{ISSUER}/.well-known/jwks.json"
TOKEN_URL = f"{ISSUER}/token"
AUDIENCE = "game-api"
ROLES_CLAIM, ROLES_PREFIX = "scope", "game-api/"
"""The roles are scopes, such as game-api/server, as they are in Amazon Cognito."""
ROLES = ("admin", "server")
CLIENTS_OF_A_ROLE = 32
"""The service limits the requests of each principal, to 600 a minute by default.

With so many principals, the traffic stays far below that limit even if one pod gets all of it.
"""
SECRET = "of-the-tests"  # checkov:skip=CKV_SECRET_6:only for tests
TOKEN_SECONDS, RENEWAL_SECONDS = 300, 60
"""How long a token is valid, and how long before its end it is renewed."""


class Client(ClientMixin):
    """A registered client, which may get tokens with one scope."""

    def __init__(self, client_id: str, scope: str) -> None:
        self.client_id = client_id
        self.scope = scope

    def get_client_id(self) -> str:
        return self.client_id

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == "client_secret_basic"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == ClientCredentialsGrant.GRANT_TYPE

    def get_allowed_scope(self, scope: Any) -> str:
        return self.scope


CLIENTS = {
    f"{role}-{number}": Client(f"{role}-{number}", ROLES_PREFIX + role)
    for role in ROLES
    for number in range(CLIENTS_OF_A_ROLE)
}


class TokenGenerator(JWTBearerTokenGenerator):
    """Signs access tokens with the current key of the provider."""

    def __init__(self, provider: "Provider") -> None:
        super().__init__(ISSUER, expires_generator=lambda client, grant: TOKEN_SECONDS)
        self._provider = provider

    def get_jwks(self) -> KeySet:
        return KeySet([self._provider.signing_key])

    def get_audiences(self, client: Any, user: Any, scope: Any) -> str:
        return AUDIENCE


class Provider:
    """The provider's keys, and what clients need to get tokens."""

    def __init__(self) -> None:
        self.signing_key = new_key()
        self.published = [self.signing_key]
        self.downloads = 0
        """How many times the keys were fetched."""

    def rotate(self) -> RSAKey:
        """Publish a new key and sign with it from now on. Returns the old key."""
        old, new = self.signing_key, new_key()
        self.published = [*self.published, new]
        self.signing_key = new
        return old

    def withdraw(self, key: RSAKey) -> None:
        """Publish a key no longer."""
        self.published = [other for other in self.published if other is not key]

    def app(self) -> Flask:
        app = Flask("oidc")
        server = AuthorizationServer(app, CLIENTS.get, lambda token, request: None)
        server.register_grant(ClientCredentialsGrant)
        server.register_token_generator("default", TokenGenerator(self))

        @app.get("/.well-known/openid-configuration")
        def configuration() -> dict[str, Any]:
            return metadata()

        @app.get("/.well-known/jwks.json")
        def keys() -> dict[str, Any]:
            self.downloads += 1
            return dict(KeySet(list(self.published)).as_dict(private=False))

        @app.post("/token")
        def token() -> Any:
            return server.create_token_response()

        return app


def new_key() -> RSAKey:
    """A key whose id is its thumbprint."""
    return RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)


def metadata() -> dict[str, Any]:
    """The provider's configuration, checked by Authlib."""
    found = OpenIDProviderMetadata(
        issuer=ISSUER,
        authorization_endpoint=f"{ISSUER}/authorize",  # required, but there are no users
        token_endpoint=TOKEN_URL,
        jwks_uri=JWKS_URL,
        scopes_supported=[ROLES_PREFIX + role for role in ROLES],
        response_types_supported=["code"],
        grant_types_supported=[ClientCredentialsGrant.GRANT_TYPE],
        token_endpoint_auth_methods_supported=["client_secret_basic"],
        subject_types_supported=["public"],
        id_token_signing_alg_values_supported=["RS256"],
    )
    found.validate()
    return dict(found)


def trust() -> ssl.SSLContext:
    """Trusts the provider's certificate."""
    return ssl.create_default_context(cafile=CERTIFICATE)


@dataclass
class Token:
    """An access token, and when to renew it by the monotonic clock."""

    text: str
    renewal: float


class Tokens(httpx2.Auth):
    """Authenticates the requests of an HTTP client, with the tokens of all clients with a role.

    The HTTP client has to `trust` the provider.
    """

    requires_response_body = True

    def __init__(self, role: str) -> None:
        names = [f"{role}-{number}" for number in range(CLIENTS_OF_A_ROLE)]
        self._names = itertools.cycle(names)
        self._tokens: dict[str, Token] = {}

    def renew(self) -> None:
        """Get a new token for each of the next requests."""
        self._tokens = {}

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        name, tokens = next(self._names), self._tokens
        token = tokens.get(name)
        if token is None or time.monotonic() > token.renewal:
            response = yield token_request(name)
            token = tokens[name] = token_of(response)
        request.headers["Authorization"] = f"Bearer {token.text}"
        yield request


def token_request(name: str) -> httpx2.Request:
    """The request of a client for a token."""
    request = httpx2.Request("POST", TOKEN_URL, data={"grant_type": "client_credentials"})
    return next(httpx2.BasicAuth(name, SECRET).auth_flow(request))


def token_of(response: httpx2.Response) -> Token:
    """The token in the response of the provider. Raises httpx2.HTTPError."""
    body = response.raise_for_status().json()
    return Token(body["access_token"], time.monotonic() + body["expires_in"] - RENEWAL_SECONDS)


def get_token(role: str) -> str:
    """A new token of a client with this role."""
    with httpx2.Client(verify=trust()) as client:
        return token_of(client.send(token_request(f"{role}-0"))).text


@contextmanager
def running_provider() -> Iterator[Provider]:
    """Run the provider at ISSUER, in a thread of this process."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    provider = Provider()
    server = make_server(PROVIDER, 443, provider.app(), threaded=True, ssl_context=context)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        print_progress("the identity provider (Authlib) is ready")
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def get_tokens(role: str) -> list[str]:
    """A new token of each client with this role."""
    with httpx2.Client(verify=trust()) as client:
        return [
            token_of(client.send(token_request(f"{role}-{number}"))).text
            for number in range(CLIENTS_OF_A_ROLE)
        ]
