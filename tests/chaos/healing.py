"""After the faults: everybody gets a seat, and everything is read."""

import asyncio
import random
from collections.abc import Iterable
from datetime import UTC, datetime

from tests.chaos.history import Dump, History, Operation
from tests.chaos.stack import Stack
from tests.chaos.workload import NAME, Workload
from tests.chaos.world import World

MAX_REPEATS = 10
"""How often a request that only prepares something is repeated after a 503."""
MAX_ATTEMPTS = 2
"""How often a player tries to take a seat."""


class Healing:
    """The last part of a round, in which nothing may fail any more."""

    def __init__(self, stack: Stack, workload: Workload, history: History, seed: str) -> None:
        self._stack = stack
        self._workload = workload
        self._world: World = workload.world
        self._history = history
        self._chance = random.Random(seed)

    async def run(self) -> None:
        """Give everybody a seat, and then read everything."""
        if not self._history.disturbed:
            self._history.before_healing = await self.dump()
        async with self._stack.direct() as database:
            found = await database.players.find({"version": {"$exists": True}}).to_list()
        players = [document["_id"] for document in found]  # Without the traces of deleted players.
        await asyncio.gather(*(self._stand_up(player_id) for player_id in players))
        self._chance.shuffle(players)
        half = len(players) // 2
        await asyncio.gather(
            self._seat(players[:half], "party"),
            *(self._seat([player_id], "join") for player_id in players[half:]),
        )
        self._history.at_end = await self.dump()
        await self._read(self._history.at_end)

    async def _stand_up(self, player_id: str) -> None:
        """Free the seat of a player, if there is one."""
        found = await self._repeat("player session", player_id)
        if found.status == 200:
            await self._repeat("leave", player_id, session_id=found.answer["session_id"])

    async def _seat(self, player_ids: list[str], kind: str) -> None:
        """Seat these players in a new session, alone or as a party."""
        if not player_ids:
            return
        created = await self._repeat("create session")
        for _ in range(MAX_ATTEMPTS):
            operation = self._operation(kind, *player_ids, session_id=created.answer["session_id"])
            if kind == "join":
                operation.body = {"team": operation.marker}
            await self._send(operation)
            if operation.outcome != "unknown":
                return

    async def _read(self, dump: Dump) -> None:
        """Read every player and every session through the API."""
        reads = [self._operation("get player", player["_id"]) for player in dump.players]
        reads += [
            self._operation("get session", session_id=session["_id"])
            for session in dump.sessions
            if "version" in session
        ]
        for operation in reads:
            operation.phase = "final"
        for group in batches(reads, 20):
            await asyncio.gather(*(self._send(operation) for operation in group))

    def _operation(self, kind: str, *player_ids: str, session_id: str | None = None) -> Operation:
        operation = self._world.operation(kind, *player_ids, session_id=session_id)
        operation.phase = "healing"
        if kind == "create session":
            operation.body = {"name": NAME, "game_mode": operation.marker, "max_players": 64}
        return operation

    async def _send(self, operation: Operation) -> None:
        process = self._chance.choice(self._stack.processes)
        await self._workload.send(operation, process)

    async def _repeat(
        self, kind: str, *player_ids: str, session_id: str | None = None
    ) -> Operation:
        """Send an operation until the answer is known."""
        for _ in range(MAX_REPEATS):
            operation = self._operation(kind, *player_ids, session_id=session_id)
            await self._send(operation)
            if operation.outcome not in ("unknown", "unsent"):
                break
        return operation

    async def dump(self) -> Dump:
        """The documents of this round, when nothing is in progress."""
        await self._stack.relay.wait_until_idle()
        prefix = f"^r{self._world.number}-"
        async with self._stack.direct() as database:
            players = await database.players.find({"region": {"$regex": prefix}}).to_list()
            query = {"$or": [{"game_mode": {"$regex": prefix}}, {"version": {"$exists": False}}]}
            sessions = await database.sessions.find(query).to_list()
            keyed = await database.keyed_requests.find({"answer": None}).to_list()
        now = datetime.now(UTC)
        leases = [(request["lease_until"] - now).total_seconds() for request in keyed]
        return Dump(players, sessions, leases)

    async def clean_up(self) -> None:
        """Remove everything from the database, for the next round."""
        await self._stack.relay.wait_until_idle()
        async with self._stack.direct() as database:
            await database.players.delete_many({})
            await database.sessions.delete_many({})
            await database.keyed_requests.delete_many({})


def batches(operations: list[Operation], size: int) -> Iterable[list[Operation]]:
    return (operations[start : start + size] for start in range(0, len(operations), size))
