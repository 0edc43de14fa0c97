"""Dependencies of the endpoints: the objects of the app, and the current time."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, TypedDict, TypeVar

from fastapi import Depends, Request

from game_api.clock import utc_now

Kind = TypeVar("Kind")


class State(TypedDict):
    """What the app's lifespan yields and a request finds in `scope["state"]`."""

    objects: Mapping[type, object]
    """The objects of the app (stores, the database connection, ...), each under its type."""


def app_object(kind: type[Kind]) -> Callable[[Request], Awaitable[Kind]]:
    """A dependency that returns the object of the app that has this type."""

    async def find(request: Request) -> Kind:
        return object_of(request, kind)

    return find


def object_of(request: Request, kind: type[Kind]) -> Kind:
    """The object of the app that has this type."""
    found: Kind = request.scope["state"]["objects"][kind]
    return found


async def now() -> datetime:
    return utc_now()


Now = Annotated[datetime, Depends(now)]
