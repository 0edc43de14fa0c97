"""What an environment ran, read from the trees of its branch."""

from collections.abc import Hashable, Sequence
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple

from gitops import image, overlay
from gitops.errors import GitOpsError
from gitops.repository import Commit, Repository

DEPLOYED = ("kustomization.yaml", "clusters", "apps")
"""The files and folders that Argo CD syncs."""


class Deployment(NamedTuple):
    """A state of an environment, which one or more successive commits of its branch had.

    `time` is when it began, and `commit` and `tree` are the last that had it. The state is all that
    Argo CD syncs; for the first environment, whose branch is everybody's, it is only the tag.
    """

    commit: str
    tree: str
    time: datetime
    tag: str
    state: Hashable


def history(repository: Repository, environment: str) -> list[Deployment]:
    """The deployments of an environment, oldest first, at least one. Raises GitOpsError."""
    deployments: list[Deployment] = []
    for new in _deployments(repository, commits_of(repository, environment)):
        if environment == overlay.ENVIRONMENTS[0]:
            new = new._replace(state=new.tag)
        if deployments and deployments[-1].state == new.state:
            new = new._replace(time=deployments.pop().time)
        deployments.append(new)
    if not deployments:
        raise GitOpsError(f"{overlay.branch(environment)} has no commit with an image tag")
    return deployments


def deployment_of(repository: Repository, commit: str) -> Deployment:
    """What an environment runs whose branch is at this commit. Raises GitOpsError."""
    image.tag_in(repository.read(commit, image.PATH))
    return _deployments(repository, repository.first_parents(commit)[:1])[0]


def _deployments(repository: Repository, commits: list[Commit]) -> list[Deployment]:
    """What each commit deploys, in the opposite order. Commits without a tag are left out."""
    paths = (image.PATH, *DEPLOYED)
    ids = repository.object_ids(f"{commit.sha}:{path}" for commit in commits for path in paths)
    rows = [ids[start : start + len(paths)] for start in range(0, len(ids), len(paths))]
    tags = {
        blob: image.find_tag(text)
        for blob, text in repository.texts({row[0] for row in rows}).items()
    }
    return [
        Deployment(commit.sha, commit.tree, commit.time, tag, tuple(deployed))
        for commit, (blob, *deployed) in reversed(list(zip(commits, rows)))
        if (tag := tags.get(blob))
    ]


def commits_of(repository: Repository, environment: str) -> list[Commit]:
    """The commits of an environment's branch, newest first, back to the one it was created from.

    Those before it are commits of another branch, which this environment never ran.
    """
    commits = repository.first_parents(repository.tip(overlay.branch(environment)))
    earlier: set[str] = set()
    for other in overlay.ENVIRONMENTS[: overlay.ENVIRONMENTS.index(environment)]:
        if tip := repository.find(overlay.branch(other)):
            earlier |= {commit.sha for commit in repository.first_parents(tip)}
    own = len(list(takewhile(lambda commit: commit.sha not in earlier, commits)))
    return commits[: own + 1]


def taken_back(states: Sequence[Hashable], state: Hashable) -> int | None:
    """Where the environment went back to a state from before this one, or None if it never did.

    `states` is the history, oldest first. It went back if, after the state was deployed for the
    last time, there is one that had been deployed first before it.
    """
    if state not in states:
        return None
    last = max(index for index, other in enumerate(states) if other == state)
    first = states.index(state)
    later = range(last + 1, len(states))
    return next((index for index in later if states.index(states[index]) < first), None)
