"""Dependencies of the endpoints: the app's resources, and the current time."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Annotated, TypedDict, TypeVar

from fastapi import Depends, Request

from game_api.clock import utc_now

Resource = TypeVar("Resource")


class State(TypedDict):
    """What the app's lifespan yields and a request finds in `request.state`."""

    resources: Mapping[type, object]
    """The app's objects (stores, the database connection, ...), each under its type."""


def resource(kind: type[Resource]) -> Callable[[Request], Awaitable[Resource]]:
    """A dependency that returns the app's object of this type."""

    async def find(request: Request) -> Resource:
        found: Resource = request.state.resources[kind]
        return found

    return find


async def now() -> datetime:
    return utc_now()


Now = Annotated[datetime, Depends(now)]
