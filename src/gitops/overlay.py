"""The environments' Kustomize overlays and the image tag in each of them."""

import re

from gitops.errors import GitOpsError

ENVIRONMENTS = ("dev", "staging", "prod")
"""In the order in which a build is promoted."""

_TAG = re.compile(r"[0-9a-f]{40}")
_NEW_TAG = re.compile(r"^(\s*newTag:\s*)([0-9a-f]{40})$", re.MULTILINE)


def check_environment(name: str) -> None:
    """Raise GitOpsError unless there is an environment with this name."""
    if name not in ENVIRONMENTS:
        raise GitOpsError(
            f"unknown environment {name!r}; the environments are {', '.join(ENVIRONMENTS)}"
        )


def check_tag(tag: str) -> None:
    """Raise GitOpsError unless the tag is a full commit SHA, as every image tag is."""
    if not _TAG.fullmatch(tag):
        raise GitOpsError(
            f"{tag!r} is not a valid tag; a tag is a full commit SHA, 40 characters of 0-9 and a-f"
        )


def path(environment: str) -> str:
    """The path of the environment's overlay, relative to the root of the repository.

    Raises GitOpsError if the environment does not exist.
    """
    check_environment(environment)
    return f"apps/game-api/overlays/{environment}/kustomization.yaml"


def tag_in(overlay: str) -> str:
    """The image tag in the overlay's text. Raises GitOpsError if there is not exactly one."""
    tags = _NEW_TAG.findall(overlay)
    if len(tags) != 1:
        raise GitOpsError(
            f"an overlay must have exactly one newTag with a full commit SHA, not {len(tags)}"
        )
    return str(tags[0][1])


def with_tag(overlay: str, tag: str) -> str:
    """The overlay's text with another image tag. All other bytes stay the same."""
    tag_in(overlay)
    check_tag(tag)
    return _NEW_TAG.sub(rf"\g<1>{tag}", overlay)
