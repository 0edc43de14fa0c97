"""The history of a round: every request with its answer, and what was read at the end."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["done", "refused", "unknown", "unsent", "unexpected"]
Phase = Literal["load", "healing", "final"]
Document = dict[str, Any]
State = dict[str, Any]
"""A player or a session as a response shows it."""

EXPECTED_REFUSALS = {404, 409, 412}
SESSION_CHANGES = {"update session", "join", "party", "update member", "leave"}
"""The operations that change a session that exists."""
SESSION_READS = {"get session", "player session", "list sessions", "repeat name"}
PLAYER_CREATIONS = {"create player"}
SESSION_CREATIONS = {"create session", "create session with host"}


@dataclass
class Operation:
    """One request and its answer."""

    number: int
    kind: str
    process: int
    start: float
    """When the request was sent, in seconds since the start of the run."""
    session_id: str | None = None
    player_ids: tuple[str, ...] = ()
    body: Document = field(default_factory=dict)
    query: Document = field(default_factory=dict)
    marker: str = ""
    """A text that only this request writes, by which its change is recognised."""
    if_match: int | None = None
    if_none_match: int | None = None
    phase: Phase = "load"
    end: float = inf
    """When the answer arrived; infinite if there was none, because it may still take effect."""
    over: float = inf
    """When the client stopped waiting: with the answer, or because the connection broke."""
    status: int | None = None
    """The status of the answer; None if there was none."""
    answer: Document = field(default_factory=dict)
    etag: int | None = None
    sent: bool = True
    """False if no connection was made, so that the request can't have had any effect."""

    @property
    def outcome(self) -> Outcome:
        if not self.sent:
            return "unsent"
        if self.status is None or self.status == 503:
            return "unknown"
        if 200 <= self.status < 300 or self.status == 304:
            return "done"
        return "refused" if self.status in EXPECTED_REFUSALS else "unexpected"

    @property
    def code(self) -> str:
        """The code of a refusal."""
        return str(self.answer.get("code", ""))

    @property
    def until(self) -> float:
        """When its effect was certainly there, if it had any."""
        return self.end if self.outcome in ("done", "refused") else inf

    @property
    def player_id(self) -> str:
        return self.player_ids[0]

    def __str__(self) -> str:
        target = " ".join(filter(None, (self.session_id, *self.player_ids)))
        conditions = "" if self.if_match is None else f" if-match {self.if_match}"
        told = self.answer.get("version", self.etag)
        shown = f"{self.status or 'no answer'} {self.code or ''}".strip()
        return (
            f"#{self.number} {self.kind} [{self.marker}] {target}{conditions} on process "
            f"{self.process}, {self.start:.3f}-{self.end:.3f}: {shown}"
            + ("" if told is None else f" version {told}")
        )


@dataclass
class Dump:
    """The documents of the database at one moment at which nothing was in progress."""

    players: list[Document]
    sessions: list[Document]


@dataclass
class History:
    """What happened in one round."""

    operations: list[Operation] = field(default_factory=list)
    disturbed: bool = False
    """Whether a process was killed, or a command or its answer was lost or late."""
    before_healing: Dump | None = None
    at_end: Dump | None = None
    stops: list[tuple[int, float, float]] = field(default_factory=list)
    """When which process was stopped or dead: its number, the start and the end."""
    errors: list[str] = field(default_factory=list)
    """Failures of the service besides its responses, such as a wrong exit code."""

    @property
    def lossless(self) -> bool:
        """Whether nothing can have been left behind: no fault, and no request without an answer."""
        return not self.disturbed and not any(
            operation.outcome == "unknown" for operation in self.operations
        )

    def sent(self) -> Iterator[Operation]:
        return (operation for operation in self.operations if operation.sent)

    def save(self, path: Path) -> None:
        """Write the history as JSON lines; the last line holds everything but the operations."""
        rest = asdict(self)
        with path.open("w") as file:
            for operation in rest.pop("operations"):
                print(json.dumps(operation, default=str), file=file)
            print(json.dumps(rest, default=str), file=file)


@dataclass(frozen=True)
class Violation:
    """A property that does not hold."""

    property: str
    text: str

    def __str__(self) -> str:
        return f"{self.property}: {self.text}"
