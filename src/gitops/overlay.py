"""The environments: each has a Kustomize overlay, and a branch that its cluster follows."""

from gitops.errors import GitOpsError

ENVIRONMENTS = ("dev", "staging", "prod")
"""In the order in which a build is promoted."""

MAIN = "main"


def check_environment(name: str) -> None:
    """Raise GitOpsError unless there is an environment with this name."""
    if name not in ENVIRONMENTS:
        raise GitOpsError(
            f"unknown environment {name!r}; the environments are {', '.join(ENVIRONMENTS)}"
        )


def branch(environment: str) -> str:
    """The branch that Argo CD syncs in the cluster of an environment."""
    return MAIN if environment == ENVIRONMENTS[0] else f"env/{environment}"


def source(environment: str) -> str:
    """The environment from which builds are promoted to this one, which is not the first."""
    return ENVIRONMENTS[ENVIRONMENTS.index(environment) - 1]
