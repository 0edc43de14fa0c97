"""Check that a commit may become the tip of an environment's branch."""

from gitops import overlay
from gitops.errors import GitOpsError
from gitops.history import commits_of
from gitops.repository import Repository


def check_promotion(repository: Repository, environment: str, commit: str) -> str:
    """Check that the tree of the commit is one that the environment before had, or this one itself.

    Returns a sentence that says where it comes from. Raises GitOpsError.
    """
    overlay.check_environment(environment)
    if environment == overlay.ENVIRONMENTS[0]:
        raise GitOpsError(f"{environment} follows {overlay.MAIN}; nothing is promoted to it")
    repository.fetch()
    if not repository.has_commit(commit):
        raise GitOpsError(f"commit {commit} is not in this clone")
    tree = repository.tree(commit)
    source = overlay.branch(overlay.source(environment))
    for name in (overlay.source(environment), environment):
        for known in commits_of(repository, name):
            if known.tree == tree:
                return f"{commit} has the tree that {overlay.branch(name)} had at {known.sha}"
    files = "\n".join(
        f"  {line}" for line in repository.differences(repository.tip(source), commit)
    )
    raise GitOpsError(
        f"neither {source} nor {overlay.branch(environment)} ever had the tree of {commit}; "
        f"these files differ from the newest of {source}:\n{files}"
    )
