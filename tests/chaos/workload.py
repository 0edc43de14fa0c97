"""The workload: clients that use every operation of the API on few players and sessions."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator

from tests.chaos.callers import choose_caller, choose_key, repeat
from tests.chaos.history import IN_PROGRESS, History, Operation
from tests.chaos.keys import repetitions
from tests.chaos.model import LIVE
from tests.chaos.requests import Sender
from tests.chaos.stack import Process
from tests.chaos.world import SESSIONS, World

CLIENTS = 32
MAX_WAITING = 16
"""How many requests may wait for one process, which may be stopped."""
PATIENCE = 0.5
"""After how many seconds a client goes on with something else."""
MAX_REPETITIONS = 4
"""How often a client repeats a request with a key while there is no answer to it."""
NAME = "chaos"
FOLLOWING = {
    "waiting": ("starting",),
    "starting": ("active", "active", "active", "waiting"),
    "active": ("active", "active", "ended"),
}
"""What a client asks for next, by the status of a session."""


class Choices:
    """The decisions of one client, which follow from its seed and from what the world knows."""

    def __init__(self, world: World, seed: str) -> None:
        self.world = world
        self.chance = random.Random(seed)

    def next(self) -> Operation:
        """The next operation of the client."""
        world = self.world
        if world.retired:
            operation = world.operation("update session", session_id=world.retired.popleft())
            operation.body = {"status": "cancelled", "attributes": {"writer": operation.marker}}
            return operation
        if world.keyed and self.chance.random() < 0.06:
            return repeat(world, self.chance)
        if len(world.sessions) < SESSIONS and self.chance.random() < 0.5:
            return self.sent_by_somebody(self.create_session())
        (make,) = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
        return self.sent_by_somebody(make(self))

    def sent_by_somebody(self, operation: Operation) -> Operation:
        """The operation with a caller, and maybe with a key."""
        choose_caller(operation, self.world, self.chance)
        choose_key(operation, self.world, self.chance)
        return operation

    def player(self) -> str:
        """A player, who mostly exists."""
        existing = sorted(self.world.existing)
        if existing and self.chance.random() < 0.9:
            return self.chance.choice(existing)
        return self.chance.choice(self.world.players)

    def contested_player(self) -> str:
        """A player, who is sometimes just being created."""
        if self.world.creating and self.chance.random() < 0.5:
            return self.chance.choice(self.world.creating)
        return self.player()

    def free_id(self) -> str:
        """A player_id that is mostly free."""
        free = [p for p in self.world.players if p not in self.world.existing]
        return self.chance.choice(
            free if free and self.chance.random() < 0.8 else self.world.players
        )

    def session(self) -> str:
        return self.chance.choice(self.world.sessions)

    def conditional(self, operation: Operation, key: str | None) -> Operation:
        """The operation, sometimes with the version that was seen last as its condition."""
        version = self.world.versions.get(str(key))
        if version is not None and self.chance.random() < 0.15:
            operation.if_match = max(1, version - (self.chance.random() < 0.2))
        return operation

    def create_player(self) -> Operation:
        generated = self.chance.random() < 0.15
        operation = self.world.operation("create player", *([] if generated else [self.free_id()]))
        name = f"{operation.marker}" if self.chance.random() < 0.6 else self.shared_name()
        operation.body = {
            "username": name,
            "region": operation.marker,
            "attributes": {"writer": operation.marker},
        } | ({} if generated else {"player_id": operation.player_id})
        return operation

    def shared_name(self) -> str:
        """One of a few names, in upper or lower case."""
        name = f"r{self.world.number}-name{self.chance.randrange(6)}"
        return name if self.chance.random() < 0.5 else name.upper()

    def get_player(self) -> Operation:
        return self.world.operation("get player", self.contested_player())

    def update_player(self) -> Operation:
        operation = self.world.operation("update player", self.player())
        operation.body = {
            "rating": self.chance.randrange(5),
            "attributes": {"writer": operation.marker},
        }
        if self.chance.random() < 0.4:
            operation.body["username"] = self.shared_name()
        return self.conditional(operation, operation.player_id)

    def delete_player(self) -> Operation:
        operation = self.world.operation("delete player", self.contested_player())
        return self.conditional(operation, operation.player_id)

    def list_players(self) -> Operation:
        operation = self.world.operation("list players")
        operation.query = {"limit": 100}
        if self.chance.random() < 0.5:
            operation.query = {"username": self.shared_name()}
        return operation

    def player_session(self) -> Operation:
        return self.world.operation("player session", self.player())

    def create_session(self) -> Operation:
        hosted = self.chance.random() < 0.5
        player_ids = [self.player()] if hosted else []
        kind = "create session with host" if hosted else "create session"
        operation = self.world.operation(kind, *player_ids)
        seats = self.chance.choice((1, 2, 3, 4, 6))
        operation.body = {
            "name": NAME,
            "game_mode": operation.marker,
            "max_players": seats,
            "min_players": self.chance.randint(1, min(2, seats)),
            "join_in_progress": self.chance.random() < 0.5,
            "visibility": self.chance.choice(("public", "public", "private")),
        } | ({"host_player_id": player_ids[0]} if hosted else {})
        return operation

    def get_session(self) -> Operation:
        operation = self.world.operation("get session", session_id=self.session())
        if self.chance.random() < 0.3:
            operation.if_none_match = self.world.versions.get(str(operation.session_id))
        return operation

    def update_session(self) -> Operation:
        operation = self.world.operation("update session", session_id=self.session())
        operation.body = {"attributes": {"writer": operation.marker}}
        changes = self.chance.choice(("nothing", "seats", "status", "status", "status", "host"))
        if changes == "seats":
            operation.body["max_players"] = self.chance.randint(2, 6)
            operation.body["min_players"] = self.chance.randint(1, 2)
        elif changes == "status":
            operation.body["status"] = self.status(str(operation.session_id))
        elif changes == "host":
            operation.body["host_player_id"] = self.player()
        return self.conditional(operation, operation.session_id)

    def status(self, session_id: str) -> str:
        """A status for a session, which is mostly one that may follow its last known one."""
        if self.chance.random() < 0.2:
            return self.chance.choice(("waiting", "starting", "active", "ended", "cancelled"))
        return self.chance.choice(
            FOLLOWING.get(self.world.statuses.get(session_id, ""), ("ended",))
        )

    def repeat_name(self) -> Operation:
        """A change that changes nothing."""
        operation = self.world.operation("repeat name", session_id=self.session())
        operation.body = {"name": NAME}
        return operation

    def list_sessions(self) -> Operation:
        operation = self.world.operation("list sessions")
        operation.query = {"limit": 20}
        if self.chance.random() < 0.5:
            operation.query["status"] = self.chance.choice(sorted(LIVE))
        return operation

    def join(self) -> Operation:
        operation = self.world.operation("join", self.player(), session_id=self.session())
        operation.body = {"team": operation.marker}
        return self.conditional(operation, operation.session_id)

    def party(self) -> Operation:
        count = self.chance.randint(2, 3)
        player_ids = {self.player() for _ in range(count)}
        return self.world.operation("party", *sorted(player_ids), session_id=self.session())

    def seat(self) -> tuple[str, str]:
        """A player, and mostly the session in which the player was seen last."""
        if self.world.seats and self.chance.random() < 0.85:
            return self.chance.choice(sorted(self.world.seats.items()))
        return self.player(), self.session()

    def update_member(self) -> Operation:
        player_id, session_id = self.seat()
        operation = self.world.operation("update member", player_id, session_id=session_id)
        operation.body = {"ready": self.chance.random() < 0.5}
        if self.chance.random() < 0.6:
            operation.body["team"] = operation.marker
        return self.conditional(operation, session_id)

    def leave(self) -> Operation:
        player_id, session_id = self.seat()
        operation = self.world.operation("leave", player_id, session_id=session_id)
        return self.conditional(operation, session_id)


WEIGHTS: dict[Callable[[Choices], Operation], int] = {
    Choices.create_player: 7,
    Choices.get_player: 4,
    Choices.update_player: 7,
    Choices.delete_player: 6,
    Choices.list_players: 2,
    Choices.player_session: 6,
    Choices.create_session: 4,
    Choices.get_session: 8,
    Choices.update_session: 16,
    Choices.repeat_name: 2,
    Choices.list_sessions: 2,
    Choices.join: 22,
    Choices.party: 10,
    Choices.update_member: 8,
    Choices.leave: 18,
}
"""How often each operation is chosen, in relation to the others."""


class Workload:
    """The clients of one round."""

    def __init__(
        self, world: World, history: History, sender: Sender, processes: list[Process], seed: str
    ) -> None:
        self.world = world
        self._history = history
        self._sender = sender
        self._processes = processes
        self._seed = seed
        self._waiting: Counter[int] = Counter()
        """How many requests wait for each process."""
        self._requests: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float) -> None:
        """Let all clients work for some seconds, and wait for the answers to their requests."""
        until = time.monotonic() + seconds
        await asyncio.gather(*(self._client(number, until) for number in range(CLIENTS)))

    async def finish(self) -> None:
        """Wait for the answers to all requests."""
        await asyncio.gather(*self._requests)

    async def _client(self, number: int, until: float) -> None:
        choices = Choices(self.world, f"{self._seed}/{number}")
        while time.monotonic() < until:
            available = list(self._available())
            if not available:
                await asyncio.sleep(0.02)
                continue
            if not self.world.sessions:
                operation = choices.chance.choice([choices.create_player, choices.create_session])()
            else:
                operation = choices.next()
            process = choices.chance.choice(available)
            requests = [self._start(operation, process, choices.chance)]
            if operation.key is not None and choices.chance.random() < 0.2:
                twin = self.world.again(operation)
                requests.append(self._start(twin, choices.chance.choice(available), choices.chance))
            await asyncio.wait(requests, timeout=PATIENCE)
            await asyncio.sleep(choices.chance.expovariate(1 / 0.01))

    def _start(
        self, operation: Operation, process: Process, chance: random.Random
    ) -> asyncio.Task[None]:
        request = asyncio.create_task(self._request(operation, process, chance))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)
        return request

    async def _request(self, operation: Operation, process: Process, chance: random.Random) -> None:
        """Send an operation; repeat it if it has a key and no answer, at any process."""
        await self.send(operation, process)
        for _ in range(MAX_REPETITIONS):
            if operation.key is None or not unanswered(operation):
                return
            await asyncio.sleep(chance.expovariate(1 / 0.2))
            if available := list(self._available()):
                operation = self.world.again(operation)
                await self.send(operation, chance.choice(available))

    async def settle(self, seconds: float) -> None:
        """Repeat every request with a key that has no answer, for at most some seconds."""
        until = time.monotonic() + seconds
        chance = random.Random(self._seed)
        groups = repetitions(self._history.operations).values()
        open_ = [group[-1] for group in groups if all(unanswered(o) for o in group)]
        await asyncio.gather(*(self._settle(operation, until, chance) for operation in open_))

    async def _settle(self, operation: Operation, until: float, chance: random.Random) -> None:
        while True:
            operation = self.world.again(operation)
            operation.phase = "settling"
            await self.send(operation, chance.choice(self._processes))
            if not unanswered(operation) or time.monotonic() > until:
                return
            await asyncio.sleep(1)

    def _available(self) -> Iterator[Process]:
        for process in self._processes:
            if process.up and self._waiting[process.number] < MAX_WAITING:
                yield process

    async def send(self, operation: Operation, process: Process) -> None:
        self._history.operations.append(operation)
        self._waiting[process.number] += 1
        creating = operation.player_ids if operation.kind == "create player" else ()
        self.world.creating += creating
        try:
            await self._sender.send(operation, process)
        finally:
            self._waiting[process.number] -= 1
            for player_id in creating:
                self.world.creating.remove(player_id)
        self.world.learn(operation)


def unanswered(operation: Operation) -> bool:
    """Whether a request with a key should be repeated."""
    return operation.outcome in ("unknown", "unsent") or operation.code == IN_PROGRESS
