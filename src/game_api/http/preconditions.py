"""Conditional requests (RFC 9110): the ETag of a resource is its version in quotes."""

import re
from collections.abc import Callable
from typing import Annotated, Protocol, TypeVar

from fastapi import Depends, Header, Request, Response

from game_api.errors import VersionMismatch
from game_api.http.problems import ValidationFailed


class Versioned(Protocol):
    """A resource with a version."""

    version: int


Resource = TypeVar("Resource", bound=Versioned)
Result = TypeVar("Result")

_ELEMENT = re.compile(r'[ \t]*(?:((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|\Z)')
"""One element of a list of entity tags. RFC 9110 allows empty elements and ignores them."""

_SCHEMA = {
    "type": "string",
    "pattern": r'^(\*|(W/)?"[!#-~]+"(, (W/)?"[!#-~]+")*)$',
    "examples": ['"1"'],
}
"""The JSON schema of both headers; `Tags.parse` reads them."""

IfMatchHeader = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="Make the change only if the current ETag is one of these.",
        json_schema_extra=_SCHEMA,
    ),
]
IfNoneMatchHeader = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="Respond with 304 if the current ETag is one of these.",
        json_schema_extra=_SCHEMA,
    ),
]


def etag(version: int) -> str:
    """The ETag of a version: `"3"`."""
    return f'"{version}"'


def not_modified(version: int) -> Response:
    """The 304 response for a client that already has this version."""
    return Response(status_code=304, headers={"ETag": etag(version)})


class Tags:
    """The entity tags of `If-Match` or `If-None-Match`; `*` matches any version."""

    def __init__(self, tags: frozenset[str], anything: bool) -> None:
        self.tags = tags
        self.anything = anything

    @classmethod
    def parse(cls, header: str, text: str) -> "Tags":
        """Parse `*` or a list of entity tags. Raises ValidationFailed if it is neither."""
        if text.strip(" \t") == "*":
            return cls(frozenset(), anything=True)
        tags, position = set(), 0
        while position < len(text) and (element := _ELEMENT.match(text, position)):
            tags.add(element[1])
            position = element.end()
        tags.discard(None)
        if position < len(text) or not tags:
            raise ValidationFailed.at(
                "header", header, msg='must be * or a list of entity tags such as "3"'
            )
        return cls(frozenset(tags), anything=False)

    def match_strongly(self, version: int) -> bool:
        return self.anything or etag(version) in self.tags

    def match_weakly(self, version: int) -> bool:
        return self.match_strongly(version) or f"W/{etag(version)}" in self.tags


class Precondition:
    """The condition of `If-Match`; without tags every version meets it."""

    def __init__(self, tags: Tags | None = None) -> None:
        self.tags = tags

    def check(self, resource: Versioned) -> None:
        """Raises VersionMismatch if the version of the resource is not among the tags."""
        if self.tags is not None and not self.tags.match_strongly(resource.version):
            raise VersionMismatch(resource.version)


def provided(
    condition: Precondition, rule: Callable[[Resource], Result]
) -> Callable[[Resource], Result]:
    """The rule, which is now applied only if the resource meets the condition."""

    def conditional(resource: Resource) -> Result:
        condition.check(resource)
        return rule(resource)

    return conditional


def _combined(request: Request, name: str) -> str | None:
    # Several header lines are equivalent to one line with commas.
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None


async def if_match(request: Request, _: IfMatchHeader = None) -> Precondition:
    text = _combined(request, "If-Match")
    return Precondition(None if text is None else Tags.parse("If-Match", text))


async def if_none_match(request: Request, _: IfNoneMatchHeader = None) -> Tags | None:
    text = _combined(request, "If-None-Match")
    return None if text is None else Tags.parse("If-None-Match", text)


IfMatch = Annotated[Precondition, Depends(if_match)]
IfNoneMatch = Annotated[Tags | None, Depends(if_none_match)]
