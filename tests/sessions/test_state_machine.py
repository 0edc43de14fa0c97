"""Any sequence of accepted and refused rules keeps the invariants of a session."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from game_api.access.caller import SYSTEM
from game_api.errors import ApiError, InvalidField
from game_api.sessions.model import TRANSITIONS, Events, Session
from game_api.values import LIVE
from tests.build import NOW, a_session

PLAYERS = [f"p{n}" for n in range(6)]
player = st.sampled_from(PLAYERS)


@dataclass
class Replay:
    """What a session consists of according to its events alone."""

    seated: list[str] = field(default_factory=list)
    ready: set[str] = field(default_factory=set)
    host: str | None = None
    status: str = "waiting"

    def add(self, events: Events) -> None:
        for event in events:
            match event.kind:
                case "joined":
                    self.seated += event.player_ids
                case "left":
                    self.seated = [p for p in self.seated if p not in event.player_ids]
                    self.ready -= set(event.player_ids)
                case "member_changed" if "ready" in event.fields:
                    self.ready ^= set(event.player_ids)
                case "host_changed":
                    assert event.old == self.host
                    self.host = event.new
                case "status_changed":
                    assert event.old == self.status and event.new is not None
                    self.status = event.new


class SessionMachine(RuleBasedStateMachine):
    """Applies rules to a copy, as the store does, and keeps the copy when one is accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.behind = 0
        """How many seconds the clock of the process that makes the next change is behind."""
        self.session: Session = a_session()
        self.accepted = 0
        self.arrivals: list[str] = []
        """The players who should be seated, in order, derived from the results alone."""
        self.replayed = Replay()

    @initialize(seats=st.integers(1, 4), in_progress=st.booleans())
    def create(self, seats: int, in_progress: bool) -> None:
        self.session = a_session(max_players=seats, join_in_progress=in_progress)

    def apply(self, method: str, *arguments: Any) -> bool:
        """Apply a rule; returns whether it was accepted."""
        self.now += timedelta(seconds=1)
        now = self.now - timedelta(seconds=self.behind)
        before = self.session.model_dump_doc()
        draft = self.session.model_copy()
        try:
            events = getattr(draft, method)(*arguments, SYSTEM, now)
        except (ApiError, InvalidField):
            assert self.session.model_dump_doc() == before
            assert draft.model_dump_doc() == before, "a refused rule changed the session"
            return False
        assert draft.version - self.session.version in (0, 1)
        changed = draft.version > self.session.version
        assert changed == bool(events)
        self.replayed.add(events)
        if not changed:
            assert draft.model_dump_doc() == before, "the session changed without a new version"
        assert draft.updated_at >= self.session.updated_at
        if self.session.status == "starting" and draft.status == "waiting":
            assert not any(member.ready for member in draft.members)
        self.accepted += changed
        self.session = draft
        return True

    @rule(behind=st.integers(0, 5))
    def change_process(self, behind: int) -> None:
        self.behind = behind

    @rule(joining=player, team=st.none() | st.sampled_from(["red", "blue"]))
    def join(self, joining: str, team: str | None) -> None:
        if self.apply("join", [joining], team) and joining not in self.arrivals:
            self.arrivals.append(joining)

    @rule(party=st.lists(player, min_size=1, max_size=4, unique=True))
    def join_as_party(self, party: list[str]) -> None:
        if self.apply("join", party, None):
            self.arrivals += [p for p in party if p not in self.arrivals]

    @rule(leaving=player)
    def leave(self, leaving: str) -> None:
        live = self.session.live
        self.apply("leave", leaving)
        if live and leaving in self.arrivals:
            self.arrivals.remove(leaving)

    @rule(player_id=player, ready=st.booleans())
    def change_readiness(self, player_id: str, ready: bool) -> None:
        if self.apply("change_member", player_id, {"ready": ready}):
            member = self.session.member(player_id)
            assert member is not None and member.ready is ready

    @precondition(lambda self: self.session.status == "waiting")
    @rule(min_players=st.integers(1, 3))
    def start_with_everybody_ready(self, min_players: int) -> None:
        self.apply("change", {"min_players": min_players})
        for member in self.session.members:
            self.apply("change_member", member.player_id, {"ready": True})
        self.apply("change", {"status": "starting"})

    @rule(status=st.sampled_from(tuple(TRANSITIONS)))
    def change_status(self, status: Any) -> None:
        if self.apply("change", {"status": status}):
            assert self.session.status == status

    @rule(
        changes=st.fixed_dictionaries(
            {},
            optional={
                "status": st.sampled_from(["waiting", "starting", "active"]),
                "name": st.sampled_from(["a", "b"]),
                "max_players": st.integers(1, 6),
                "min_players": st.integers(1, 6),
                "host_player_id": player,
                "join_in_progress": st.booleans(),
                "region": st.none() | st.sampled_from(["eu", "us"]),
            },
        )
    )
    def change_settings(self, changes: dict[str, Any]) -> None:
        if self.apply("change", changes):
            assert {key: getattr(self.session, key) for key in changes} == changes

    @precondition(lambda self: not self.session.live)
    @rule(name=st.just("new name"))
    def an_ended_session_is_immutable(self, name: str) -> None:
        assert not self.apply("change", {"name": name})
        assert not self.apply("join", ["p0"], None)

    @invariant()
    def seats_are_consistent(self) -> None:
        session = self.session
        seated = [member.player_id for member in session.members]
        assert seated == self.arrivals
        assert len(seated) == len(set(seated)) <= session.max_players
        assert len(seated) + session.free_slots == session.max_players
        assert 1 <= session.min_players <= session.max_players

    @invariant()
    def the_host_is_a_member(self) -> None:
        session = self.session
        if session.members:
            assert session.member(session.host_player_id or "")
        else:
            assert session.host_player_id is None

    @invariant()
    def versions_count_the_changes(self) -> None:
        assert self.session.version == 1 + self.accepted

    @invariant()
    def a_starting_session_has_enough_players(self) -> None:
        if self.session.status == "starting":
            assert len(self.session.members) >= self.session.min_players

    @invariant()
    def the_events_describe_the_session(self) -> None:
        session, replayed = self.session, self.replayed
        assert replayed.seated == [member.player_id for member in session.members]
        assert replayed.ready == {member.player_id for member in session.members if member.ready}
        assert (replayed.host, replayed.status) == (session.host_player_id, session.status)

    @invariant()
    def times_are_in_order(self) -> None:
        session = self.session
        joined = [member.joined_at for member in session.members]
        assert joined == sorted(joined)
        for times in (joined, [t for t in (session.started_at, session.ended_at) if t]):
            in_order = [session.created_at, *times, session.updated_at]
            assert in_order == sorted(in_order)

    @invariant()
    def times_follow_the_status(self) -> None:
        session = self.session
        assert session.created_at <= session.updated_at <= self.now
        assert (session.ended_at is not None) == (session.status not in LIVE)
        if session.status in ("active", "ended"):
            assert session.started_at is not None


SessionMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSession = SessionMachine.TestCase
