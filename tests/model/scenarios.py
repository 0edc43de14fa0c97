"""The scenarios: what is in the database, and which processes handle which requests at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tests.model.memory import EMPTY, Contents
from tests.model.process import LATENCY, run_alone
from tests.model.requests import (
    Create,
    CreatePlayer,
    DeletePlayer,
    End,
    Join,
    Keyed,
    Leave,
    ModelRequest,
    Ready,
    Rename,
)

LONG_AGO, MUCH_LATER = -60.0, 60.0
FIRST_OF_SETUP = 100
"""The number of the process of the first request of a setup; their tokens have to differ."""


@dataclass(frozen=True)
class Writer:
    """A process and the requests that it handles."""

    requests: tuple[ModelRequest, ...]
    starts_at: float = 0
    after: tuple[int, ...] = ()
    """The numbers of the processes that have ended or died before this one starts."""


@dataclass(frozen=True)
class Scenario:
    name: str
    setup: tuple[ModelRequest, ...]
    writers: tuple[Writer, ...]
    clocks_differ: bool = False
    """Whether the clocks differ by more than a request can live. Only safety holds then."""
    latency: float = LATENCY
    """How many seconds a command takes; it limits how many commands fit into a request."""
    ids: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"players": ("ada", "bob", "cyd"), "sessions": ("a", "b", "c")}
    )

    @cached_property
    def initial(self) -> Contents:
        """The contents of the database before the processes start."""
        contents = EMPTY
        for number, request in enumerate(self.setup, FIRST_OF_SETUP):
            contents, told = run_alone(contents, number, [request], LONG_AGO)
            assert told[0] and told[0].kind == "done", (request, told)
        return contents


def writer(*requests: ModelRequest, starts_at: float = 0, after: Sequence[int] = ()) -> Writer:
    return Writer(requests, starts_at, tuple(after))


ADA, BOB, CYD = CreatePlayer("ada"), CreatePlayer("bob"), CreatePlayer("cyd")
A, B = Create("a"), Create("b")
KEYED_ADA, KEYED_BOB = Keyed(ADA), Keyed(CreatePlayer("bob", "ada"))
KEYED_SESSION, KEYED_HOST = Keyed(Create("new")), Keyed(Create("new", ("ada",)))

TWO = [
    Scenario(
        "one player joins two sessions",
        (ADA, A, B),
        (writer(Join("a", ("ada",))), writer(Join("b", ("ada",)))),
    ),
    Scenario(
        "one join is sent to two processes",
        (ADA, A),
        (writer(Join("a", ("ada",))), writer(Join("a", ("ada",)))),
    ),
    Scenario(
        "two parties share a player",
        (ADA, BOB, CYD, A, B),
        (writer(Join("a", ("ada", "bob"))), writer(Join("b", ("bob", "cyd")))),
    ),
    Scenario(
        "two parties join one full session",
        (ADA, BOB, CYD, Create("a", (), 2)),
        (writer(Join("a", ("ada", "bob"))), writer(Join("a", ("cyd",)))),
    ),
    Scenario(
        "a join and a leave of a member",
        (ADA, A, B, Join("a", ("ada",))),
        (writer(Leave("a", "ada")), writer(Join("b", ("ada",)))),
    ),
    Scenario(
        "a leave and a join again",
        (ADA, A, Join("a", ("ada",))),
        (writer(Leave("a", "ada")), writer(Join("a", ("ada",)))),
    ),
    Scenario(
        "a join and the deletion of the player",
        (ADA, A),
        (writer(Join("a", ("ada",))), writer(DeletePlayer("ada"))),
    ),
    Scenario(
        "a creation and a join of the host",
        (ADA, A),
        (writer(Create("b", ("ada",))), writer(Join("a", ("ada",)))),
    ),
    Scenario(
        "two creations for one host",
        (ADA,),
        (writer(Create("a", ("ada",))), writer(Create("b", ("ada",)))),
    ),
    Scenario(
        "a creation and the deletion of the host",
        (ADA,),
        (writer(Create("a", ("ada",))), writer(DeletePlayer("ada"))),
    ),
    Scenario(
        "a session ends while a player joins it",
        (ADA, A),
        (writer(End("a")), writer(Join("a", ("ada",)))),
    ),
    Scenario(
        "a session ends while its member joins another",
        (ADA, A, B, Join("a", ("ada",))),
        (writer(End("a")), writer(Join("b", ("ada",)))),
    ),
    Scenario(
        "a join elsewhere after a join has ended or died",
        (ADA, A, B),
        (
            writer(Join("a", ("ada",))),
            writer(Join("b", ("ada",)), starts_at=MUCH_LATER, after=[1]),
        ),
    ),
    Scenario(
        "a join elsewhere after a creation has ended or died",
        (ADA, B),
        (
            writer(Create("a", ("ada",))),
            writer(Join("b", ("ada",)), starts_at=MUCH_LATER, after=[1]),
        ),
    ),
    Scenario(
        "a join and a change of a bystander in one process, a join elsewhere",
        (ADA, BOB, A, B, Join("a", ("bob",))),
        (writer(Join("a", ("ada",)), Ready("a", "bob")), writer(Join("b", ("ada",)))),
    ),
    Scenario(
        "a player is created and deleted",
        (),
        (writer(CreatePlayer("ada")), writer(DeletePlayer("ada"))),
    ),
    Scenario(
        "two players are created with one username",
        (),
        (writer(CreatePlayer("ada", "ada")), writer(CreatePlayer("bob", "ada"))),
    ),
    Scenario(
        "a rename and a creation with the username",
        (ADA,),
        (writer(Rename("ada", "bob")), writer(CreatePlayer("bob"))),
    ),
]

THREE = [
    Scenario(
        "one player joins three sessions",
        (ADA, A, B, Create("c")),
        tuple(writer(Join(each, ("ada",))) for each in ("a", "b", "c")),
    ),
    Scenario(
        "two joins of a player and a leave",
        (ADA, A, B, Join("a", ("ada",))),
        (writer(Leave("a", "ada")), writer(Join("a", ("ada",))), writer(Join("b", ("ada",)))),
    ),
    Scenario(
        "two joins of a player and the deletion of the player",
        (ADA, A, B),
        (writer(Join("a", ("ada",))), writer(Join("b", ("ada",))), writer(DeletePlayer("ada"))),
    ),
    Scenario(
        "two creations for one host and a join of the host",
        (ADA, A),
        (
            writer(Create("b", ("ada",))),
            writer(Create("c", ("ada",))),
            writer(Join("a", ("ada",))),
        ),
    ),
    Scenario(
        "one join is sent to two processes, then the player leaves",
        (ADA, A),
        (
            writer(Join("a", ("ada",))),
            writer(Join("a", ("ada",))),
            writer(Leave("a", "ada"), after=[1, 2]),
        ),
    ),
    Scenario(
        "one join is sent to two processes while the session ends",
        (ADA, A),
        (writer(Join("a", ("ada",))), writer(Join("a", ("ada",))), writer(End("a"))),
    ),
    Scenario(
        "one join is sent to two processes while the last seat is taken",
        (ADA, BOB, Create("a", (), 1)),
        (
            writer(Join("a", ("ada",))),
            writer(Join("a", ("ada",))),
            writer(Join("a", ("bob",))),
        ),
    ),
    Scenario(
        "one join is sent to two processes while the player leaves",
        (ADA, A),
        (writer(Join("a", ("ada",))), writer(Join("a", ("ada",))), writer(Leave("a", "ada"))),
    ),
    Scenario(
        "a join elsewhere while the clock of its process is ahead",
        (ADA, A, B),
        (writer(Join("a", ("ada",))), writer(Join("b", ("ada",)), starts_at=MUCH_LATER)),
        clocks_differ=True,
        latency=0.4,
    ),
    Scenario(
        "a creation and a join while the clock of the joining process is ahead",
        (ADA, A),
        (writer(Create("b", ("ada",))), writer(Join("a", ("ada",)), starts_at=MUCH_LATER)),
        clocks_differ=True,
        latency=0.4,
    ),
    Scenario(
        "a player and a party with this player join while the last seats are taken",
        (ADA, BOB, CYD, Create("a", (), 2)),
        (
            writer(Join("a", ("ada",))),
            writer(Join("a", ("ada", "bob"))),
            writer(Join("a", ("cyd",))),
        ),
    ),
    Scenario(
        "a join of a player and a deletion while the clock of the deleting process is ahead",
        (ADA, A),
        (writer(Join("a", ("ada",))), writer(DeletePlayer("ada"), starts_at=MUCH_LATER)),
        clocks_differ=True,
        latency=0.4,
    ),
    Scenario(
        "a username is taken and becomes free during a creation",
        (),
        (
            writer(CreatePlayer("ada", "name")),
            writer(CreatePlayer("bob", "name")),
            writer(DeletePlayer("bob"), after=[2]),
        ),
    ),
    Scenario(
        "a username is taken and becomes free during a rename",
        (ADA,),
        (
            writer(Rename("ada", "name")),
            writer(CreatePlayer("bob", "name")),
            writer(DeletePlayer("bob"), after=[2]),
        ),
    ),
    Scenario(
        "two renames of one player",
        (ADA,),
        (writer(Rename("ada", "name")), writer(Rename("ada", "other"))),
    ),
    Scenario(
        "a player is created, deleted and created again",
        (),
        (writer(CreatePlayer("ada")), writer(DeletePlayer("ada")), writer(CreatePlayer("ada"))),
    ),
]

KEYED = [
    Scenario(
        "a player is created with a key, and again after the first attempt has ended or died",
        (),
        (writer(KEYED_ADA), writer(KEYED_ADA, starts_at=MUCH_LATER, after=[1])),
    ),
    Scenario(
        "a player is created with a key by two attempts at once",
        (),
        (writer(KEYED_ADA), writer(KEYED_ADA, starts_at=MUCH_LATER)),
        clocks_differ=True,
    ),
    Scenario(
        "a session is created with a key, and again after the first attempt has ended or died",
        (),
        (writer(KEYED_SESSION), writer(KEYED_SESSION, starts_at=MUCH_LATER, after=[1])),
    ),
    Scenario(
        "a session with a host is created with a key, and again after the first attempt",
        (ADA,),
        (writer(KEYED_HOST), writer(KEYED_HOST, starts_at=MUCH_LATER, after=[1])),
    ),
    Scenario(
        "a session with a host is created with a key by two attempts at once",
        (ADA,),
        (writer(KEYED_HOST), writer(KEYED_HOST, starts_at=MUCH_LATER)),
        clocks_differ=True,
    ),
    Scenario(
        "a player is created with a key, deleted, and created with the key again",
        (),
        (
            writer(KEYED_ADA),
            writer(DeletePlayer("ada"), after=[1]),
            writer(KEYED_ADA, starts_at=MUCH_LATER, after=[1]),
        ),
    ),
    Scenario(
        "a player is created with a key by two attempts at once, and deleted",
        (),
        (
            writer(KEYED_ADA),
            writer(KEYED_ADA, starts_at=MUCH_LATER),
            writer(DeletePlayer("ada")),
        ),
        clocks_differ=True,
    ),
    Scenario(
        "a username is taken and becomes free between two attempts with a key",
        (ADA,),
        (
            writer(KEYED_BOB),
            writer(DeletePlayer("ada")),
            writer(KEYED_BOB, starts_at=MUCH_LATER, after=[1]),
        ),
    ),
    Scenario(
        "a host joins another session between two attempts with a key",
        (ADA, A),
        (
            writer(KEYED_HOST),
            writer(Join("a", ("ada",))),
            writer(KEYED_HOST, starts_at=MUCH_LATER, after=[1]),
        ),
        latency=0.4,
    ),
]
