"""What changes in an environment between two commits, as a text."""

from gitops import image
from gitops.history import DEPLOYED
from gitops.repository import Repository


def describe(repository: Repository, environment: str, old: str, new: str) -> str:
    """What changes in the environment if the tree of commit `old` becomes that of `new`.

    The text has the builds, the commits that are in one of them only, and the changed files that
    Argo CD syncs.
    """
    before = image.tag_in(repository.read(old, image.PATH))
    after = image.tag_in(repository.read(new, image.PATH))
    if before == after:
        lines = [f"{environment}: {after} stays, and its manifests change"]
    else:
        lines = [f"{environment}: {before} -> {after}", *_commits(repository, before, after)]
    files = repository.differences(old, new, *DEPLOYED)
    return "\n".join([*lines, *(["manifests:", *_indented(files)] if files else [])])


def _commits(repository: Repository, before: str, after: str) -> list[str]:
    for tag in (before, after):
        if not repository.has_commit(tag):
            return [f"  (no list of commits: {tag} is not in this clone)"]
    added = repository.commits_between(before, after)
    removed = repository.commits_between(after, before)
    return [*_indented(added), *(["taken back:", *_indented(removed)] if removed else [])]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]
