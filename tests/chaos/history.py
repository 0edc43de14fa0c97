"""The history of a round: every request with its answer, and what was read at the end."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["done", "refused", "unknown", "unsent", "unexpected"]
Phase = Literal["load", "settling", "healing", "final"]
Token = Literal["good", "missing", "expired", "forged"]
Document = dict[str, Any]
State = dict[str, Any]
"""A player or a session as a response shows it."""

EXPECTED_REFUSALS = {401, 403, 404, 409, 412}
IN_PROGRESS, REUSED = "request_in_progress", "idempotency_key_reused"
NOT_KEPT = {"unauthenticated", "forbidden", IN_PROGRESS, REUSED}
"""The codes of refusals that a repetition with the same `Idempotency-Key` does not replay."""
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
    role: str = "admin"
    subject: str = "admin"
    """Who sends the request; for a player, it is the player's id."""
    token: Token = "good"
    key: str | None = None
    """The `Idempotency-Key`. Requests with the same key and marker repeat each other."""
    phase: Phase = "load"
    end: float = inf
    """When the answer arrived; infinite if there was none, because it may still take effect."""
    over: float = inf
    """When the client stopped waiting: with the answer, or because the connection broke."""
    status: int | None = None
    """The status of the answer; None if there was none."""
    answer: Document = field(default_factory=dict)
    etag: int | None = None
    location: str | None = None
    text: str = ""
    """The body of the answer as it was sent, of a request with a key."""
    replayed: bool = False
    """Whether the answer says that it is the repetition of an earlier one."""
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
        expected = self.status in EXPECTED_REFUSALS or self.code == REUSED
        return "refused" if expected else "unexpected"

    @property
    def kept(self) -> bool:
        """Whether the answer is final, so that each repetition has to get the same one."""
        return self.outcome in ("done", "refused") and self.code not in NOT_KEPT

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
        conditions += "" if self.key is None else f" key {self.key}"
        told = self.answer.get("version", self.etag)
        shown = f"{self.status or 'no answer'} {self.code or ''}".strip()
        return (
            f"#{self.number} {self.kind} [{self.marker}] {target}{conditions} "
            f"by {self.role} {self.subject} ({self.token} token) on process "
            f"{self.process}, {self.start:.3f}-{self.end:.3f}: {shown}"
            + ("" if told is None else f" version {told}")
        )


@dataclass
class Dump:
    """The documents of the database at one moment at which nothing was in progress."""

    players: list[Document]
    sessions: list[Document]
    leases: list[float] = field(default_factory=list)
    """The remaining time in seconds of each lease of a keyed request without an answer."""


@dataclass
class History:
    """What happened in one round."""

    operations: list[Operation] = field(default_factory=list)
    disturbed: bool = False
    """Whether a process was killed, or a command or its answer was lost or late."""
    settled: bool = False
    """Whether every keyed request was repeated until it was answered, or for long enough."""
    before_healing: Dump | None = None
    at_end: Dump | None = None
    stops: list[tuple[int, float, float]] = field(default_factory=list)
    """When which process was stopped or dead: its number, the start and the end."""
    leaks: list[str] = field(default_factory=list)
    """The lines of logs that contain what they must not."""
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
