"""Promote a build to the next environment on a branch that is reviewed and merged."""

from typing import NamedTuple

from gitops import overlay
from gitops.errors import GitOpsError
from gitops.repository import Change, Repository


class Promotion(NamedTuple):
    """The change that merging `branch` makes: the environment's tag goes from `old` to `new`.

    `commits` lists what the new build adds. It is None if the clone does not have the old commit.
    """

    branch: str
    environment: str
    old: str
    new: str
    commits: list[str] | None

    def __str__(self) -> str:
        if self.commits is None:
            changes = f"  (no list of changes: commit {self.old} is not in this clone)"
        else:
            changes = "\n".join(f"  {commit}" for commit in self.commits)
        return f"{self.environment}: {self.old} -> {self.new}\n{changes}"


def plan(repository: Repository, source: str, target: str) -> tuple[str, Promotion | None]:
    """The current commit of `main`, and the promotion of source's build to target.

    The promotion is None if the target has the build already. Raises GitOpsError.
    """
    overlay.check_environment(source)
    overlay.check_environment(target)
    order = overlay.ENVIRONMENTS
    if (source, target) not in zip(order, order[1:]):
        raise GitOpsError(
            f"cannot promote {source} -> {target}; "
            f"builds are promoted {' -> '.join(order)}, one environment at a time"
        )
    repository.check_clean()
    tip = repository.fetch()
    new = overlay.tag_in(repository.read(tip, overlay.path(source)))
    old = overlay.tag_in(repository.read(tip, overlay.path(target)))
    if old == new:
        return tip, None
    if not repository.has_commit(new):
        raise GitOpsError(f"commit {new} is not in this clone; is the clone shallow?")
    commits = None
    if repository.has_commit(old):
        if not repository.is_ancestor(old, new):
            raise GitOpsError(
                f"{target}'s build {old} is newer than {source}'s build {new}; "
                "use git revert to roll back"
            )
        commits = repository.commits_between(old, new)
    return tip, Promotion(f"promote/{target}", target, old, new, commits)


def push(repository: Repository, tip: str, promotion: Promotion) -> None:
    """Push the promotion's branch, which is one commit on top of `tip`."""
    path = overlay.path(promotion.environment)
    text = overlay.with_tag(repository.read(tip, path), promotion.new)
    message = f"deploy({promotion.environment}): game-api {promotion.new[:12]}\n\n{promotion}\n"
    commit = repository.commit(tip, Change(path, text, message))
    repository.push_branch(promotion.branch, commit)
