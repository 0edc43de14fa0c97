"""Go back to what an environment ran before, with a new commit."""

import re

from gitops import image, overlay
from gitops.changes import describe
from gitops.errors import GitOpsError
from gitops.history import Deployment, history, taken_back
from gitops.moments import date, time_since
from gitops.outcome import Outcome
from gitops.overlay import MAIN
from gitops.repository import Repository
from gitops.tables import aligned


def rollback(repository: Repository, environment: str, to: str) -> Outcome:
    """Push a commit with an earlier tree of the environment's branch, to be merged into it.

    `to` is the beginning of a tag, or of a commit of that branch. In the first environment, whose
    branch is `main`, only the tag goes back, at once. Raises GitOpsError.
    """
    overlay.check_environment(environment)
    base = overlay.branch(environment)
    branch = MAIN if base == MAIN else f"rollback/{environment}"
    changes = ""

    def make_commit() -> str | None:
        nonlocal changes
        tip = repository.tip(base)
        deployment = choose(repository, environment, to)
        tree = deployment.tree
        if base == MAIN:
            text = image.with_tag(repository.read(tip, image.PATH), deployment.tag)
            tree = repository.tree_with(tip, image.PATH, text)
        changes = describe(repository, environment, tip, tree)
        subject = f"deploy({environment}): go back to game-api {deployment.tag[:12]}"
        return repository.commit(tree, [tip], f"{subject}\n\n{changes}\n")

    pushed = repository.push(branch, make_commit)
    if base == MAIN:
        lines = [
            changes,
            f"pushed to {MAIN}; the next release of {MAIN} deploys the newest build again, "
            "so revert the change that is at fault as well",
        ]
        return Outcome("\n".join(lines))
    verb = "pushed" if pushed else "there was already"
    return Outcome(f"{changes}\n{verb} {branch}; merge it into {base} to deploy", branch, base)


def choose(repository: Repository, environment: str, to: str) -> Deployment:
    """The deployment that `to` names: by its tag the newest, or by its commit that very one."""
    if not re.fullmatch(r"[0-9a-f]{7,40}", to):
        raise GitOpsError(f"{to!r} is not a build; give at least 7 characters of its SHA")
    deployments = history(repository, environment)
    running = deployments[-1]
    found = {d.tag: d for d in deployments if d.tag.startswith(to)}
    if not found and environment != overlay.ENVIRONMENTS[0]:
        found = {d.commit: d for d in deployments if d.commit.startswith(to)}
    if len(found) > 1:
        raise GitOpsError(f"{to} is ambiguous: it can be {' or '.join(found)}")
    if not found:
        if repository.has_commit(to):
            raise GitOpsError(f"{to} never ran in {environment}; without TO, all builds are listed")
        raise GitOpsError(f"there is no build {to}; without TO, all builds are listed")
    (deployment,) = found.values()
    if deployment.state == running.state:
        raise GitOpsError(f"{to} is what {environment} runs now; without TO, all builds are listed")
    return deployment


def list_builds(repository: Repository, environment: str) -> str:
    """A table of what the environment ran, newest first. Raises GitOpsError."""
    overlay.check_environment(environment)
    repository.fetch()
    deployments = history(repository, environment)
    states = [deployment.state for deployment in deployments]
    newest = {deployment.tag: deployment for deployment in deployments}
    rows = []
    for state in dict.fromkeys(reversed(states)):
        deployment = next(d for d in reversed(deployments) if d.state == state)
        note = ""
        if state == states[-1]:
            note = "running"
        elif (back := taken_back(states, state)) is not None:
            note = f"taken back {date(deployments[back].time)}"
        if newest[deployment.tag] is not deployment:
            note += f" (other manifests: TO={deployment.commit[:12]})"
        rows.append(
            (
                deployment.tag[:12],
                date(deployment.time),
                f"{time_since(deployment.time)} ago",
                repository.subject(deployment.tag) or "not in this clone",
                note.strip(),
            )
        )
    return f"{aligned(rows)}\nto go back, run make rollback ENV={environment} TO=<build>"
