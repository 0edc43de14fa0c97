"""A table of what every environment runs and how it does. Missing parts are no error."""

import json
import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

from gitops import overlay
from gitops.errors import GitOpsError
from gitops.github import statuses
from gitops.history import DEPLOYED, history
from gitops.moments import time_since
from gitops.overlay import ENVIRONMENTS, MAIN
from gitops.repository import Repository
from gitops.tables import aligned

TIMEOUT = 3
"""How long an environment may take to answer, in seconds."""

HEADER = ("environment", "build", "subject", "deployed", "behind", "live", "Argo CD")
LEGEND = (
    f"behind: commits in the build of the environment before; for {ENVIRONMENTS[0]}, on {MAIN}\n"
    "live: the commit that /health of the environment names"
)


def status(repository: Repository) -> str:
    """The table, and below it why parts of it are missing."""
    reasons: list[str] = []
    try:
        repository.fetch()
    except GitOpsError as error:
        reasons.append(f"the branches are as they were when they were last fetched: {error}")
    with ThreadPoolExecutor() as threads:
        rows = list(threads.map(lambda name: _row(repository, name, reasons), ENVIRONMENTS))
    return "\n".join([aligned([HEADER, *rows]), "", LEGEND, *dict.fromkeys(reasons)])


def _row(repository: Repository, environment: str, reasons: list[str]) -> tuple[str, ...]:
    """The row of an environment. Why parts of it are missing is appended to the reasons."""
    live = _live(repository, environment)
    try:
        deployment = history(repository, environment)[-1]
    except GitOpsError as error:
        reasons.append(str(error))
        return environment, "unknown", "", "", "", live or "unreachable", ""
    tag = deployment.tag
    differs = ", not this build" if live and live != tag else ""
    return (
        environment,
        tag[:12],
        repository.subject(tag) or "not in this clone",
        f"{time_since(deployment.time)} ago",
        _behind(repository, environment, tag),
        f"{live[:12]}{differs}" if live else "unreachable",
        _health(repository, environment, tag, reasons),
    )


def _behind(repository: Repository, environment: str, tag: str) -> str:
    """How many commits the environment before has that this one lacks."""
    try:
        if environment == ENVIRONMENTS[0]:
            return str(len(repository.commits_between(tag, repository.tip(MAIN))))
        before = history(repository, overlay.source(environment))[-1]
        tip = repository.tip(overlay.branch(environment))
        missing = str(len(repository.commits_between(tag, before.tag)))
        differ = repository.differences(tip, before.commit, *DEPLOYED)
        return f"{missing}, other manifests" if before.tag == tag and differ else missing
    except GitOpsError:
        return "unknown"


def _live(repository: Repository, environment: str) -> str | None:
    """The commit of the build that answers at the environment's address."""
    try:
        variables = (repository.root / f"terraform/environments/{environment}.tfvars").read_text()
        hostname = re.findall(r'^hostname\s*=\s*"([^"]+)"', variables, re.MULTILINE)[0]
        with urllib.request.urlopen(f"https://{hostname}/health", timeout=TIMEOUT) as response:
            commit = json.load(response)["commit"]
            return commit if isinstance(commit, str) else None
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return None


def _health(repository: Repository, environment: str, tag: str, reasons: list[str]) -> str:
    """What Argo CD last reported of the build."""
    try:
        reports = statuses(repository, environment, tag)
    except GitOpsError as error:
        reasons.append(str(error))
        return "unknown"
    if not reports:
        return "no status"
    description = re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28}\b", r"\1", reports[0].description)
    return description if reports[0].state == "success" else f"{reports[0].state}: {description}"
