"""The commit statuses with which Argo CD reports to GitHub how a build does in an environment."""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request
from datetime import datetime
from http.client import HTTPException
from itertools import count
from typing import Any, NamedTuple

from gitops.errors import GitOpsError
from gitops.repository import Repository

PAGE = 100
"""How many statuses GitHub returns at a time, at most."""

TIMEOUT = 10
"""How long GitHub may take to answer a request, in seconds."""


class Status(NamedTuple):
    """A status: `success`, `failure`, `error` or `pending`, and what Argo CD says about it."""

    state: str
    description: str
    time: datetime

    @property
    def revision(self) -> str | None:
        """The commit that Argo CD has synced, if the description names one."""
        found = re.search(r"\b[0-9a-f]{40}\b", self.description)
        return found[0] if found else None


def statuses(repository: Repository, environment: str, tag: str) -> list[Status]:
    """How a build does in an environment, newest first. Raises GitOpsError."""
    host, name = _origin(repository)
    default = "https://api.github.com" if host == "github.com" else f"https://{host}/api/v3"
    api = os.environ.get("GITHUB_API_URL") or default
    token = _token(host)
    found: list[Any] = []
    for page in count(1):
        query = f"per_page={PAGE}&page={page}"
        answer = _get(f"{api}/repos/{name}/commits/{tag}/statuses?{query}", token)
        found += answer
        if len(answer) < PAGE:
            break
    return [
        Status(
            status["state"],
            status["description"] or "",
            datetime.fromisoformat(status["created_at"]),
        )
        for status in found
        if status["context"] == context(environment)
    ]


def context(environment: str) -> str:
    """The name under which Argo CD writes the status of an environment."""
    return f"argocd/game-api-{environment}"


def _origin(repository: Repository) -> tuple[str, str]:
    """The host and the `owner/name` of the repository that this clone comes from."""
    url = repository.git("config", "--get", "remote.origin.url").strip()
    pattern = r"(?:\w+://)?(?:[^@/]+@)?([\w.-]+)(?::\d+/|[:/])([\w.-]+/[\w.-]+?)(?:\.git)?/?"
    if url.startswith(("/", ".")) or not (found := re.fullmatch(pattern, url)):
        raise GitOpsError(f"{url}, where this clone comes from, is not a repository on GitHub")
    return found[1], found[2]


def _token(host: str) -> str:
    """A token for the API of this host."""
    # A token in the environment is one for github.com, unless the environment names another host.
    named = (
        host == "github.com" or "GITHUB_API_URL" in os.environ or os.environ.get("GH_HOST") == host
    )
    if named and (token := os.environ.get("GH_TOKEN") or os.environ.get("GITHUB_TOKEN")):
        return token
    try:
        command = ("gh", "auth", "token", "--hostname", host)
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode == 0 and result.stdout.strip():
            return result.stdout.strip()
    except FileNotFoundError:
        pass
    raise GitOpsError("there is no token for GitHub: set GH_TOKEN, or run gh auth login")


def _get(url: str, token: str) -> Any:
    """The JSON at a URL of the API."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        if error.code == 401:
            raise GitOpsError("GitHub refuses the token: set GH_TOKEN to a valid one") from None
        if error.code in (403, 404):
            raise GitOpsError(
                f"GitHub answers {error.code} to GET {url}: set GH_TOKEN to a token that may read "
                "the commit statuses of this repository"
            ) from None
        raise GitOpsError(f"GitHub answers {error.code} to GET {url}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise GitOpsError(f"cannot read {url}: {error}; GITHUB_API_URL sets the API") from None
