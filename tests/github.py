"""A stand-in for GitHub's REST API: commit statuses, and the tokens of a GitHub App.

It serves the same under `/api/v3`, as GitHub Enterprise Server does.
https://docs.github.com/en/rest/commits/statuses and https://docs.github.com/en/rest/apps/apps
"""

import json
import re
import secrets
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

import jwt

STATES = ("error", "failure", "pending", "success")
MAX_DESCRIPTION = 140
"""How long GitHub lets the description of a status be, in characters."""


class Request(NamedTuple):
    """A request, and what was answered."""

    method: str
    path: str
    body: Any
    answer: int


class Refused(Exception):
    """The request gets an error: its status, and the message that GitHub sends."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class GitHub:
    """A server on an address, and port 0 for a free one. It knows every repository and commit.

    `token` is a token that it accepts, beside those that installations of Apps get from it.
    """

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self.token = secrets.token_hex(16)
        self.requests: list[Request] = []
        self._tokens = {self.token}
        self._statuses: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer((address, port), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://{address}:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def statuses(self, repository: str, sha: str) -> list[dict[str, Any]]:
        """The statuses of a commit of `owner/name`, newest first."""
        with self._lock:
            return self._statuses.get((repository, sha), [])[::-1]

    def add_status(
        self,
        repository: str,
        sha: str,
        context: str,
        state: str,
        description: str | None = None,
        target_url: str | None = None,
        created_at: datetime | None = None,
    ) -> dict[str, Any]:
        """Add a status to a commit, as a request does. Raises Refused if GitHub refused it."""
        if state not in STATES:
            raise Refused(422, f"state must be one of {', '.join(STATES)}")
        if description is not None and len(description) > MAX_DESCRIPTION:
            raise Refused(422, f"description is too long (maximum is {MAX_DESCRIPTION} characters)")
        created = (created_at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = {
            "context": context,
            "state": state,
            "description": description,
            "target_url": target_url,
            "created_at": created,
            "updated_at": created,
        }
        with self._lock:
            self._statuses.setdefault((repository, sha), []).append(status)
        return status

    def answer(
        self, method: str, path: str, authorization: str, body: Any
    ) -> tuple[int, dict[str, Any] | list[dict[str, Any]]]:
        """The status and the body of the answer. Raises Refused."""
        url = urlsplit(path)
        route = url.path.removeprefix("/api/v3")
        scheme, _, credential = authorization.partition(" ")
        if method == "POST" and re.fullmatch(r"/app/installations/\d+/access_tokens", route):
            return 201, self._access_token(credential)
        if scheme.lower() not in ("bearer", "token") or credential not in self._tokens:
            raise Refused(401, "Bad credentials")
        if method == "POST":
            if found := re.fullmatch(r"/repos/([^/]+/[^/]+)/statuses/([0-9a-f]{40})", route):
                return 201, self.add_status(
                    found[1],
                    found[2],
                    body.get("context", "default"),
                    body.get("state"),
                    body.get("description"),
                    body.get("target_url"),
                )
        if method == "GET":
            pattern = r"/repos/([^/]+/[^/]+)/commits/([0-9a-f]{40})/statuses"
            if found := re.fullmatch(pattern, route):
                query = dict(parse_qsl(url.query))
                size = min(int(query.get("per_page", 30)), 100)
                start = (int(query.get("page", 1)) - 1) * size
                return 200, self.statuses(found[1], found[2])[start : start + size]
        raise Refused(404, "Not Found")

    def _access_token(self, credential: str) -> dict[str, Any]:
        """A token for the installation of an App, which signs its request with a JWT."""
        try:
            jwt.decode(
                credential,
                options={
                    "require": ["iss", "iat", "exp"],
                    "verify_exp": True,
                    "verify_signature": False,
                },
            )
        except jwt.InvalidTokenError:
            raise Refused(401, "A JSON web token could not be decoded") from None
        token = f"ghs_{secrets.token_hex(18)}"
        self._tokens.add(token)
        expires = datetime.now(UTC) + timedelta(hours=1)
        return {"token": token, "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%SZ")}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        github = self

        class Handler(BaseHTTPRequestHandler):
            def handle_request(self) -> None:
                size = int(self.headers.get("Content-Length", 0))
                text = self.rfile.read(size)
                body = json.loads(text) if text else None
                authorization = self.headers.get("Authorization", "")
                content: Any
                try:
                    status, content = github.answer(self.command, self.path, authorization, body)
                except Refused as refused:
                    status, content = refused.status, {"message": str(refused)}
                github.requests.append(Request(self.command, self.path, body, status))
                answer = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = handle_request

            def log_message(self, *_: Any) -> None:
                pass

        return Handler
