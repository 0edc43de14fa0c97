"""The tag of the image, which is in one place: in the base, on the branch of each environment."""

import re

from gitops.errors import GitOpsError

PATH = "apps/game-api/base/kustomization.yaml"
"""The file with the tag, relative to the root of the repository."""

_TAG = re.compile(r"[0-9a-f]{40}")
_NEW_TAG = re.compile(r"^(\s*newTag:\s*)([0-9a-f]{40})$", re.MULTILINE)


def check_tag(tag: str) -> None:
    """Raise GitOpsError unless the tag is a full commit SHA, as every image tag is."""
    if not _TAG.fullmatch(tag):
        raise GitOpsError(
            f"{tag!r} is not a valid tag; a tag is a full commit SHA, 40 characters of 0-9 and a-f"
        )


def find_tag(text: str) -> str | None:
    """The image tag in the file's text, or None if there is not exactly one."""
    tags = _NEW_TAG.findall(text)
    return str(tags[0][1]) if len(tags) == 1 else None


def tag_in(text: str) -> str:
    """The image tag in the file's text. Raises GitOpsError if there is not exactly one."""
    if (tag := find_tag(text)) is None:
        raise GitOpsError(f"{PATH} must have exactly one newTag with a full commit SHA")
    return tag


def with_tag(text: str, tag: str) -> str:
    """The file's text with another image tag. All other bytes stay the same."""
    tag_in(text)
    check_tag(tag)
    return _NEW_TAG.sub(rf"\g<1>{tag}", text)
