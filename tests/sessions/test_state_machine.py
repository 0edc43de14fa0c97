"""Any sequence of accepted and refused rules keeps the invariants of a session."""

from datetime import timedelta
from typing import Any, get_args

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from game_api.errors import ApiError, InvalidField
from game_api.sessions.model import Session, Status
from game_api.values import LIVE
from tests.build import NOW, a_session

PLAYERS = [f"p{n}" for n in range(6)]
player = st.sampled_from(PLAYERS)


class SessionMachine(RuleBasedStateMachine):
    """Applies rules to a copy, as the store does, and keeps the copy when one is accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.session: Session = a_session()
        self.accepted = 0
        self.arrivals: list[str] = []
        """The players who should be seated, in order, derived from the results alone."""

    @initialize(seats=st.integers(1, 4), in_progress=st.booleans())
    def create(self, seats: int, in_progress: bool) -> None:
        self.session = a_session(max_players=seats, join_in_progress=in_progress)

    def apply(self, method: str, *arguments: Any) -> bool:
        """Apply a rule; returns whether it was accepted."""
        self.now += timedelta(seconds=1)
        before = self.session.model_dump_doc()
        draft = self.session.model_copy()
        try:
            getattr(draft, method)(*arguments, self.now)
        except (ApiError, InvalidField):
            assert self.session.model_dump_doc() == before
            assert draft.model_dump_doc() == before, "a refused rule changed the session"
            return False
        assert draft.version - self.session.version in (0, 1)
        changed = draft.version > self.session.version
        if not changed:
            assert draft.model_dump_doc() == before, "the session changed without a new version"
        self.accepted += changed
        self.session = draft
        return True

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

    @rule(status=st.sampled_from(get_args(Status)))
    def change_status(self, status: Any) -> None:
        if self.apply("change", {"status": status}):
            assert self.session.status == status

    @rule(
        changes=st.fixed_dictionaries(
            {},
            optional={
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
    def times_follow_the_status(self) -> None:
        session = self.session
        assert session.created_at <= session.updated_at <= self.now
        assert (session.ended_at is not None) == (session.status not in LIVE)
        if session.status in ("active", "ended"):
            assert session.started_at is not None


SessionMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestSession = SessionMachine.TestCase
