"""Conditional requests (RFC 9110): a resource's ETag is its version, in quotes."""

import re
from typing import Annotated

from fastapi import Depends, Header, Request, Response

from game_api.errors import ValidationFailed, VersionMismatch

_ELEMENT = re.compile(r'[ \t]*(?:((?:W/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|$)')
"""One element of a list of entity tags; an empty one is allowed and means nothing."""

_FORM = {
    "type": "string",
    "anyOf": [{"const": "*"}, {"pattern": r'^(W/)?"[!#-~]+"(, (W/)?"[!#-~]+")*$'}],
    "examples": ['"1"'],
}
"""What the OpenAPI document says of both headers; `Tags.parse` is what reads them."""

IfMatchHeader = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="Change only if the ETag is one of these.",
        json_schema_extra=_FORM,
    ),
]
IfNoneMatchHeader = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="Answer 304 if the ETag is one of these.",
        json_schema_extra=_FORM,
    ),
]


def etag(version: int) -> str:
    """The ETag of a version: `"3"`."""
    return f'"{version}"'


def not_modified(version: int) -> Response:
    """304: the client has this version."""
    return Response(status_code=304, headers={"ETag": etag(version)})


class Tags:
    """What `If-Match` or `If-None-Match` lists; `*` stands for any version."""

    def __init__(self, tags: frozenset[str], anything: bool) -> None:
        self.tags = tags
        self.anything = anything

    @classmethod
    def parse(cls, header: str, text: str) -> "Tags":
        """Read `*` or a list of entity tags. Raises ValidationFailed when it is neither."""
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
    """`If-Match`, when the request has one."""

    def __init__(self, tags: Tags | None) -> None:
        self.tags = tags

    def check(self, version: int) -> None:
        """Raises VersionMismatch unless the version is one that the client asked for."""
        if self.tags is not None and not self.tags.match_strongly(version):
            raise VersionMismatch(version)


def _joined(request: Request, name: str) -> str | None:
    # A list may come in several header lines, which mean the same as one with commas.
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None


async def if_match(request: Request, _: IfMatchHeader = None) -> Precondition:
    text = _joined(request, "If-Match")
    return Precondition(None if text is None else Tags.parse("If-Match", text))


async def if_none_match(request: Request, _: IfNoneMatchHeader = None) -> Tags | None:
    text = _joined(request, "If-None-Match")
    return None if text is None else Tags.parse("If-None-Match", text)


IfMatch = Annotated[Precondition, Depends(if_match)]
IfNoneMatch = Annotated[Tags | None, Depends(if_none_match)]
