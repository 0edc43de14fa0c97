"""The overlays: one for each environment, and in each the image's tag."""

import re

from gitops.errors import Refused

ENVIRONMENTS = ("dev", "staging", "prod")
"""In the order in which a build passes through them."""

_TAG = re.compile(r"[0-9a-f]{40}")
_NEW_TAG = re.compile(r"^(\s*newTag:\s*)([0-9a-f]{40})$", re.MULTILINE)


def environment(name: str) -> str:
    """The name, if there is such an environment. Raises Refused."""
    if name not in ENVIRONMENTS:
        raise Refused(f"no environment {name!r}; there are {', '.join(ENVIRONMENTS)}")
    return name


def tag(text: str) -> str:
    """The text, if it can be an image's tag, which is a commit's full sha. Raises Refused."""
    if not _TAG.fullmatch(text):
        raise Refused(f"{text!r} is no tag: a tag is a commit's sha, 40 characters of 0-9 and a-f")
    return text


def path(name: str) -> str:
    """Where the environment's overlay is, from the repository's root."""
    return f"apps/game-api/overlays/{environment(name)}/kustomization.yaml"


def tag_in(overlay: str) -> str:
    """The image tag that the overlay's text holds. Raises Refused."""
    tags = _NEW_TAG.findall(overlay)
    if len(tags) != 1:
        raise Refused(f"an overlay holds one newTag with a commit's sha, not {len(tags)}")
    return str(tags[0][1])


def with_tag(overlay: str, new: str) -> str:
    """The overlay's text with another tag; all else stays as it was, to the byte."""
    tag_in(overlay)
    return _NEW_TAG.sub(rf"\g<1>{tag(new)}", overlay)
