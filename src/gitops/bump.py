"""Give the first environment a newer image: a commit on `main` that changes its overlay's tag."""

from gitops import overlay
from gitops.errors import Refused
from gitops.repository import MAIN, Change, Repository


def bump(repository: Repository, environment: str, tag: str) -> str:
    """Push the commit, in whatever order others push theirs; the newest build wins.

    Returns what was done, as a sentence. Raises Refused.
    """
    path = overlay.path(environment)
    first = overlay.ENVIRONMENTS[0]
    if environment != first:
        raise Refused(f"a build enters at {first}; promote brings it to {environment}")
    overlay.tag(tag)
    repository.check_clean()
    outcome = ""

    def change(tip: str) -> Change | None:
        nonlocal outcome
        if not repository.is_ancestor(tag, tip):
            raise Refused(f"commit {tag} is not on {MAIN} (or this clone is shallow)")
        text = repository.read(tip, path)
        current = overlay.tag_in(text)
        if repository.is_ancestor(tag, current):
            same = "this build" if tag == current else f"a newer build, {current}"
            outcome = f"{environment} already has {same}"
            return None
        if repository.knows(current) and not repository.is_ancestor(current, tag):
            raise Refused(f"{tag} does not come after {environment}'s {current}")
        outcome = f"{environment}: {current} -> {tag}"
        message = f"deploy({environment}): game-api {tag[:12]}\n\nwas {current}\nnow {tag}\n"
        return Change(path, overlay.with_tag(text, tag), message)

    repository.change_main(change)
    return outcome
