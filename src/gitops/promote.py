"""Bring an environment's image to the next one: a branch to be reviewed and merged."""

from typing import NamedTuple

from gitops import overlay
from gitops.errors import Refused
from gitops.repository import Change, Repository


class Promotion(NamedTuple):
    """What merging `branch` would change; `commits` is None where the old build is not known."""

    branch: str
    environment: str
    old: str
    new: str
    commits: list[str] | None

    def __str__(self) -> str:
        if self.commits is None:
            what = f"  (commit {self.old} is not in this clone: no list of changes)"
        else:
            what = "\n".join(f"  {commit}" for commit in self.commits)
        return f"{self.environment}: {self.old} -> {self.new}\n{what}"


def plan(repository: Repository, source: str, target: str) -> tuple[str, Promotion | None]:
    """The commit that `main` is at, and the promotion; None if `target` has that build already.

    Raises Refused.
    """
    order = overlay.ENVIRONMENTS
    overlay.environment(source), overlay.environment(target)
    if (source, target) not in zip(order, order[1:]):
        raise Refused(f"a build goes {' -> '.join(order)}, not {source} -> {target}")
    repository.check_clean()
    tip = repository.fetch()
    new = overlay.tag_in(repository.read(tip, overlay.path(source)))
    old = overlay.tag_in(repository.read(tip, overlay.path(target)))
    if old == new:
        return tip, None
    if not repository.knows(new):
        raise Refused(f"commit {new} is not in this clone (is it shallow?)")
    commits = None
    if repository.knows(old):
        if not repository.is_ancestor(old, new):
            raise Refused(f"{target}'s {old} is newer than {source}'s {new}; git revert goes back")
        commits = repository.commits_between(old, new)
    return tip, Promotion(f"promote/{target}", target, old, new, commits)


def push(repository: Repository, tip: str, promotion: Promotion) -> None:
    """Push the promotion's branch: one commit on top of `tip`."""
    path = overlay.path(promotion.environment)
    text = overlay.with_tag(repository.read(tip, path), promotion.new)
    message = f"deploy({promotion.environment}): game-api {promotion.new[:12]}\n\n{promotion}\n"
    commit = repository.commit(tip, Change(path, text, message))
    repository.push_branch(promotion.branch, commit)
