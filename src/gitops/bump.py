"""Deploy a newer image to the first environment with a commit on `main`."""

from gitops import image, overlay
from gitops.errors import GitOpsError
from gitops.overlay import MAIN
from gitops.repository import Repository


def bump(repository: Repository, environment: str, tag: str) -> str:
    """Commit the tag, and push the commit to `main`.

    Several bumps may run at the same time and in any order; the newest build wins. Returns a
    sentence that says what was done. Raises GitOpsError.
    """
    overlay.check_environment(environment)
    first = overlay.ENVIRONMENTS[0]
    if environment != first:
        raise GitOpsError(f"bump only deploys to {first}; promote brings a build to {environment}")
    image.check_tag(tag)
    repository.check_clean()
    outcome = ""

    def make_commit() -> str | None:
        nonlocal outcome
        tip = repository.tip(MAIN)
        if not repository.is_ancestor(tag, tip):
            raise GitOpsError(f"commit {tag} is not on {MAIN}")
        text = repository.read(tip, image.PATH)
        current = image.tag_in(text)
        if repository.is_ancestor(tag, current):
            build = "this build" if tag == current else f"a newer build, {current}"
            outcome = f"{environment} already has {build}"
            return None
        if repository.has_commit(current) and not repository.is_ancestor(current, tag):
            raise GitOpsError(f"{tag} is not a descendant of {environment}'s build, {current}")
        outcome = f"{environment}: {current} -> {tag}"
        message = f"deploy({environment}): game-api {tag[:12]}\n\nwas {current}\nnow {tag}\n"
        tree = repository.tree_with(tip, image.PATH, image.with_tag(text, tag))
        return repository.commit(tree, [tip], message)

    repository.push(MAIN, make_commit)
    return outcome
