"""What identifies a new resource, chosen before anything is written."""

from dataclasses import dataclass
from datetime import datetime

from game_api.clock import utc_now
from game_api.ids import new_id, new_token


@dataclass(frozen=True)
class Creation:
    """The identity of a new resource.

    A request with an `Idempotency-Key` has the same one each time that it is repeated, so that a
    repetition finds what an earlier attempt has created.
    """

    id: str
    incarnation: str
    """Distinguishes the document of the resource from all others that ever have the same id."""
    now: datetime
    keyed: bool = False
    """Whether the request has a key, so that it may be repeated."""
    repeated: bool = False
    """Whether an earlier attempt may have created the resource."""

    @classmethod
    def new(cls) -> "Creation":
        return cls(new_id(), new_token(), utc_now())
