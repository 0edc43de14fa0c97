"""An identity provider for tests: real keys, tokens signed with them, and a server for the keys."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER = "https://issuer.example"
AUDIENCE = "game-api"


def segment(value: Any) -> str:
    """A part of a token: text or a JSON value in base64url."""
    text = value if isinstance(value, str | bytes) else json.dumps(value)
    data = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(subject: str = "ada", *roles: str, **changes: Any) -> dict[str, Any]:
    """The claims of a token that is valid for an hour; None removes one."""
    all_claims = {
        "sub": subject,
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": int(time.time()) + 3600,
        "roles": list(roles) or ["player"],
    } | changes
    return {name: value for name, value in all_claims.items() if value is not None}


@dataclass
class SigningKey:
    """A private key and its id."""

    kid: str | None
    private: Any
    algorithm: str

    @classmethod
    def rsa(cls, kid: str | None, bits: int = 2048) -> Self:
        return cls(kid, rsa.generate_private_key(public_exponent=65537, key_size=bits), "RS256")

    @classmethod
    def ec(cls, kid: str | None, curve: ec.EllipticCurve = ec.SECP256R1()) -> Self:
        return cls(kid, ec.generate_private_key(curve), "ES256")

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """The public key as a member of a key set."""
        algorithm = RSAAlgorithm if self.algorithm == "RS256" else ECAlgorithm
        found: dict[str, Any] = json.loads(algorithm.to_jwk(self.private.public_key()))
        found.pop("key_ops", None)
        return found | ({} if self.kid is None else {"kid": self.kid}) | changes

    def token(self, payload: Mapping[str, Any] | None = None, **headers: Any) -> str:
        """A token with these claims, or with valid ones."""
        given = {"kid": self.kid} | headers if self.kid is not None else headers
        return jwt.encode(
            dict(payload or claims()), self.private, algorithm=self.algorithm, headers=given
        )


def bearer(token: str | bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a request with this token."""
    return [(b"authorization", b"Bearer " + (token.encode() if isinstance(token, str) else token))]


@dataclass
class Provider:
    """A server for a key set, which counts the requests.

    `respond` replaces the answer: it gets the handler of a request, for slow and broken answers.
    """

    keys: list[dict[str, Any]] = field(default_factory=list)
    respond: Callable[[BaseHTTPRequestHandler], None] | None = None
    tls: ssl.SSLContext | None = None
    requests: int = 0

    def __enter__(self) -> Self:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.requests += 1
                if provider.respond is not None:
                    provider.respond(self)
                else:
                    send(self, 200, json.dumps({"keys": provider.keys}).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if self.tls is not None:
            # Each connection makes its handshake in a thread of its own, at the first read.
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        scheme = "http" if self.tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/keys"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    """Answer a request. The client may have gone away."""
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | headers).items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    try:
        handler.wfile.write(body)
    except OSError:
        pass


def self_signed(directory: Path) -> Path:
    """A file with a private key and its certificate for 127.0.0.1."""
    private, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now, address = datetime.now(UTC), x509.IPAddress(ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=True)
        .sign(private, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    key = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key + certificate.public_bytes(Encoding.PEM))
    return path
