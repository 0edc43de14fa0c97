"""The hot session: 1,000 players join one session with 64 seats at the same moment.

    python -m tests.benchmarks.hot [--rounds 3] [--latency 0 25] [--variants game-api:2] [--write]

`NAME:2` is two processes on one database, with half of the clients at each. What every client was
told is compared with what the database holds afterwards. The run fails if game-api is wrong, and
reports what the peers did.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pymongo import MongoClient

from game_api.database.client import Document
from tests.benchmarks import documents
from tests.benchmarks.documents import PLAYERS, SESSIONS, session_id
from tests.benchmarks.measure import Load, Result
from tests.benchmarks.processes import BenchmarkFailed, cpu_seconds
from tests.benchmarks.relay import CountingRelay
from tests.benchmarks.scaling import PAGE, with_section
from tests.benchmarks.servers import GAME_API, DatabaseServer, Server, variant
from tests.benchmarks.spread import Spread
from tests.chaos.wire import Command

JOINS, SEATS, ROOM = 1000, 64, 9000
CROWD = [f"h{number}" for number in range(JOINS)]
READERS = [f"p{number}" for number in range(documents.READ_PLAYERS)]
"""Players who are only shown, before each round."""
VARIANTS = (
    *("by-the-book:1", "by-the-book:2", "find-and-modify:1", "find-and-modify:2"),
    *("game-api:1", "game-api:2"),
)
SEATED, FULL = "201", "409 session_full"
SETTLE_SECONDS = 1
"""After the last answer, a release of claims whose deadline has passed may still be under way."""


@dataclass(frozen=True)
class Held:
    """What the database holds after a round."""

    members: Sequence[str]
    free_slots: int
    claimed: frozenset[str]
    """The players whom the session claims."""

    @classmethod
    def by(cls, client: "MongoClient[Document]", name: str) -> Self:
        session = client[name][SESSIONS].find_one({"_id": session_id(ROOM)})
        assert session is not None
        claimed = client[name][PLAYERS].find({"session_id": session_id(ROOM)}, {"_id": 1})
        return cls(
            [member["player_id"] for member in session["members"]],
            session["free_slots"],
            frozenset(player["_id"] for player in claimed),
        )


@dataclass(frozen=True)
class Round:
    """All joins of one round: how long they took, what was answered, and what was stored."""

    result: Result
    cpu: float
    """The CPU time of all processes in seconds."""
    commands: Counter[Command]
    """The commands that have passed the relay; none without it."""
    held: Held

    @property
    def answers(self) -> Counter[str]:
        return Counter(self.result.answers)

    def mistakes(self, claims: bool) -> dict[str, int]:
        """What is wrong, and how often; `claims` says whether players are claimed for their seats.

        An answer of 503 leaves open whether the player has a seat, so it is never wrong.
        """
        told = dict(zip(CROWD, self.result.answers, strict=True))
        seated = {player for player in CROWD if told[player] == SEATED}
        refused = {player for player in CROWD if told[player] == FULL}
        members = set(self.held.members)
        counts = {
            "seats too many": len(self.held.members) - SEATS,
            "seats of players who have another one": len(self.held.members) - len(members),
            "told seated, and without a seat": len(seated - members),
            "told refused, and seated": len(refused & members),
            "seated without a claim": len(members - self.held.claimed) if claims else 0,
            "free_slots wrong": int(self.held.free_slots != SEATS - len(self.held.members)),
        }
        return {what: count for what, count in counts.items() if count > 0}


class Contestant:
    """One or more processes of a variant, with a database of their own."""

    def __init__(self, name: str, database: str) -> None:
        self.name, self.database = name, database
        self.servers: list[Server] = []

    def start(self, stack: contextlib.ExitStack, uri: str, directory: Path) -> None:
        text, _, processes = self.name.rpartition(":")
        for _ in range(int(processes)):
            server = Server(variant(text), uri, self.database, directory)
            self.servers.append(stack.enter_context(server))
        for server in self.servers:
            server.wait_until_ready()

    def join(self, load: Load, relay: CountingRelay, client: "MongoClient[Document]") -> Round:
        """Let everybody join a new session."""
        ports = [server.port for server in self.servers]
        for port in ports:  # Their connections and caches are as after some time of operation.
            load.run([port], operation="get_player", requests=200, connections=16)
        self.prepare(client)
        path = f"/api/v1/sessions/{session_id(ROOM)}/players"
        relay.take()
        before = sum(cpu_seconds(server.id) for server in self.servers)
        result = load.run(ports, at_once=[("PUT", f"{path}/{player}", player) for player in CROWD])
        cpu = sum(cpu_seconds(server.id) for server in self.servers) - before
        time.sleep(SETTLE_SECONDS)
        return Round(result, cpu, relay.take(), Held.by(client, self.database))

    def prepare(self, client: "MongoClient[Document]") -> None:
        client[self.database][PLAYERS].delete_many({"username_key": {"$regex": "^user-h"}})
        client[self.database][SESSIONS].delete_one({"_id": session_id(ROOM)})
        session = documents.session(ROOM, max_players=SEATS)
        crowd = map(documents.player, CROWD)
        documents.insert(client, self.database, **{PLAYERS: crowd, SESSIONS: [session]})


def play(
    directory: Path, names: Sequence[str], rounds: int, latency: float | None
) -> dict[str, list[Round]]:
    """The rounds of each variant, in turn. With a latency, all commands pass the relay."""
    found: dict[str, list[Round]] = {name: [] for name in names}
    with contextlib.ExitStack() as stack:
        directory.mkdir(parents=True)
        database = stack.enter_context(DatabaseServer(directory))
        relay = stack.enter_context(CountingRelay(database.port))
        load = stack.enter_context(Load())
        client = stack.enter_context(MongoClient[Document](database.uri, tz_aware=True))
        uri = database.uri if latency is None else relay.uri
        contestants = [Contestant(name, f"hot-{n}") for n, name in enumerate(names)]
        for contestant in contestants:
            documents.create_indexes(client, contestant.database)
            readers = map(documents.player, READERS)
            documents.insert(client, contestant.database, **{PLAYERS: readers})
            contestant.start(stack, uri, directory)
        relay.latency = latency or 0.0
        for _ in range(rounds):
            for contestant in contestants:
                found[contestant.name].append(contestant.join(load, relay, client))
    return found


def spread(values: Iterable[float], digits: int = 0) -> str:
    """The median, with the smallest and the largest value if they differ."""
    found = Spread.of(list(values))
    return found.text(digits) if found.low != found.high else f"{found.low:.{digits}f}"


def row(name: str, rounds: Sequence[Round], counted: Sequence[Round], claims: bool) -> list[str]:
    """The cells of a variant. Commands are taken from the rounds whose commands were counted."""

    def over(value: Callable[[Round], float], digits: int = 0) -> str:
        return spread(map(value, rounds), digits)

    kinds = sorted({command.name for this in counted for command in this.commands})
    parts = [
        spread(sum(n for c, n in r.commands.items() if c.name == kind) for r in counted)
        + f" {kind}"
        for kind in kinds
    ]
    told = [
        f"{over(lambda r: r.answers[answer])} {answer}"
        for answer in sorted({answer for this in rounds for answer in this.answers})
    ]
    mistakes = [this.mistakes(claims) for this in rounds]
    wrong = [
        f"{spread(found.get(what, 0) for found in mistakes)} {what}"
        for what in dict.fromkeys(what for found in mistakes for what in found)
    ]
    return [
        name,
        over(lambda r: r.result.seconds, 2),
        over(lambda r: r.cpu, 2),
        f"{spread(r.commands.total() for r in counted)}: {', '.join(parts)}",
        ", ".join(told),
        over(lambda r: len(r.held.members)),
        over(lambda r: r.held.free_slots),
        over(lambda r: len(r.held.claimed)),
        ", ".join(wrong) or "nothing",
    ]


HEAD = ("", "seconds", "CPU s", "commands", "told", "members", "free_slots", "claims", "wrong")


def compare(directory: Path, names: Sequence[str], rounds: int, latency_ms: float) -> str:
    """A Markdown table. Raises BenchmarkFailed, with the table, if game-api was wrong."""
    if latency_ms:
        found = counted = play(directory / "slow", names, rounds, latency_ms / 1000)
    else:  # The relay would add latency, so the commands are counted in a round of their own.
        found = play(directory / "direct", names, rounds, None)
        counted = play(directory / "counted", names, 1, 0.0)
    lines = [HEAD, ("---", *["---:"] * 2, "---", "---", *["---:"] * 3, "---")]
    wrong: set[str] = set()
    for name in names:
        claims = not name.startswith("by-the-book")
        lines.append(tuple(row(name, found[name], counted[name], claims)))
        if name.startswith(GAME_API):
            wrong.update(*(this.mistakes(claims) for this in (*found[name], *counted[name])))
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    if wrong:
        raise BenchmarkFailed(f"{table}\n\n{GAME_API} is wrong: {', '.join(sorted(wrong))}")
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, nargs="+", default=(0, 25), metavar="MS")
    parser.add_argument("--variants", nargs="+", default=VARIANTS, metavar="NAME:PROCESSES")
    parser.add_argument("--write", action="store_true", help=f"write the tables into {PAGE.name}")
    options = parser.parse_args(arguments)
    for latency in options.latency:
        with tempfile.TemporaryDirectory() as directory:
            print(f"\n{JOINS} joins at once for {SEATS} seats; {latency:g} ms more per command\n")
            try:
                table = compare(Path(directory), options.variants, options.rounds, latency)
            except BenchmarkFailed as error:
                sys.exit(str(error))
            print(table, flush=True)
        if options.write:
            PAGE.write_text(with_section(PAGE.read_text(), f"hot {latency:g}", table))


if __name__ == "__main__":
    main()
