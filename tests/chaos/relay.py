"""A relay between processes of the service and their database, which makes commands fail.

Each process has a link of its own: a port of the relay. The relay reads whole messages, so a fault
hits exactly one command: the driver's `update players` is delivered late, while the command
before it and the connections of the other processes are untouched.

A message that has reached the relay is delivered even if the process has closed its connection in
the meantime, as a network does. Commands that monitor the database (`hello`) are only affected by
partitions.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Literal

from tests.chaos.wire import Command, Message, read_message

FaultKind = Literal["hold", "delay", "cut before", "cut after", "deliver late"]
PartitionKind = Literal["silence", "lost answers", "reset"]


@dataclass
class Fault:
    """What happens to one command.

    - hold: the command waits until `release` is set, or for `seconds`.
    - delay: the command waits for `seconds`.
    - cut before: the connection breaks, and the command is never delivered.
    - cut after: the command is executed, and the connection breaks instead of an answer.
    - deliver late: the connection breaks, and the command is delivered `seconds` later.
    """

    kind: FaultKind
    seconds: float = 0.0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Is set when the fault begins."""
    release: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    """Is set when the relay has done everything that it does to the command."""

    async def wait(self) -> None:
        if self.kind == "cut after":
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.release.wait(), self.seconds)


@dataclass
class Aim:
    """The next `count` commands that meet these conditions get the fault; None meets any."""

    kind: FaultKind
    name: str | None = None
    collection: str | None = None
    link: "Link | None" = None
    seconds: float = 0.0
    count: int = 1
    faults: list[Fault] = field(default_factory=list)
    """The faults that have begun."""

    def hits(self, link: "Link", command: Command) -> bool:
        return (
            self.count > 0
            and self.link in (None, link)
            and self.name in (None, command.name)
            and self.collection in (None, command.collection)
        )


class Link:
    """The port of the relay for one process of the service."""

    def __init__(self, relay: "Relay") -> None:
        self.relay = relay
        self.port = 0
        self.partition: PartitionKind | None = None
        self._requests, self._answers = asyncio.Event(), asyncio.Event()
        self._server: asyncio.Server | None = None
        self._conversations: set[Conversation] = set()
        self.heal()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = [conversation.task for conversation in self._conversations]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def uri(self, database: str) -> str:
        return f"mongodb://127.0.0.1:{self.port}/{database}?directConnection=true"

    def cut_off(self, kind: PartitionKind) -> None:
        """Separate the process from the database.

        - silence: nothing passes; it passes after the partition has been healed.
        - lost answers: commands pass, and answers wait until the partition has been healed.
        - reset: all connections break, and new ones break at once.
        """
        self.heal()
        self.partition = kind
        self._answers.clear()
        if kind != "lost answers":
            self._requests.clear()
        if kind == "reset":
            for conversation in self._conversations:
                conversation.break_off()

    def heal(self) -> None:
        self.partition = None
        self._requests.set()
        self._answers.set()

    async def pass_request(self) -> None:
        await self._requests.wait()

    async def pass_answer(self) -> None:
        await self._answers.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(self, reader, writer)
        self._conversations.add(conversation)
        try:
            if self.partition == "reset":
                conversation.break_off()
            else:
                await conversation.run()
        except (OSError, asyncio.CancelledError):
            pass  # One of both sides is gone, or the relay stops.
        finally:
            conversation.break_off()
            self._conversations.discard(conversation)


class Conversation:
    """One connection of the driver, and the connection to the database that belongs to it."""

    def __init__(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        self._link, self._relay = link, link.relay
        self._reader, self._writer = reader, writer
        self._request_id: int | None = None
        """The number of the command that is being executed; the driver sends one at a time."""
        self._fault: Fault | None = None
        """What happens to this command."""
        self._answered = asyncio.Event()
        self._database_is_gone = False

    def break_off(self) -> None:
        """Break the connection of the driver; what has arrived is delivered nevertheless."""
        self._writer.transport.abort()

    async def run(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._relay.database_port)
        answers = asyncio.create_task(self._relay_answers(reader))
        try:
            while (message := await read_message(self._reader)) is not None:
                command = message.command
                if command.monitoring:
                    await self._link.pass_request()
                    send(writer, message)
                else:
                    with self._relay.in_flight():
                        await self._relay_command(command, message, writer)
        finally:
            answers.cancel()
            writer.transport.abort()

    async def _relay_command(
        self, command: Command, message: Message, database: asyncio.StreamWriter
    ) -> None:
        """Deliver a command and wait for its answer, unless its fault says otherwise."""
        fault = self._relay.fault_for(self._link, command)
        if self._relay.latency:
            await asyncio.sleep(self._relay.latency)
        await self._link.pass_request()
        if fault is not None:
            fault.reached.set()
            if fault.kind in ("cut before", "deliver late"):
                self.break_off()
            if fault.kind == "cut before":
                fault.finished.set()
                return
            await fault.wait()
        self._request_id, self._fault = message.request_id, fault
        self._answered.clear()
        if not self._database_is_gone:
            send(database, message)
            await self._answered.wait()
        if fault is not None:
            fault.finished.set()

    async def _relay_answers(self, reader: asyncio.StreamReader) -> None:
        try:
            while (message := await read_message(reader)) is not None:
                await self._link.pass_answer()
                awaited = message.response_to == self._request_id
                if awaited and self._fault is not None and self._fault.kind == "cut after":
                    self.break_off()
                else:
                    send(self._writer, message)
                if awaited:
                    self._answered.set()
        finally:  # The database has closed the connection, or the driver has.
            self._database_is_gone = True
            self.break_off()
            self._answered.set()


def send(writer: asyncio.StreamWriter, message: Message) -> None:
    """Send a message, unless the connection has ended."""
    if not writer.transport.is_closing():
        writer.write(message.data)


class Relay:
    """The relay in front of one database; every process of the service has its own link."""

    def __init__(self, database_port: int) -> None:
        self.database_port = database_port
        self.latency = 0.0
        """The number of seconds that are added to every command."""
        self.links: list[Link] = []
        self.faults: Counter[str] = Counter()
        """How many commands each kind of fault has hit."""
        self.commands: Counter[str] = Counter()
        self.busy = 0
        """The number of commands that have not been answered yet."""
        self._aims: list[Aim] = []

    async def add_link(self) -> Link:
        link = Link(self)
        await link.start()
        self.links.append(link)
        return link

    async def stop(self) -> None:
        for link in self.links:
            await link.stop()

    def arm(self, aim: Aim) -> Aim:
        self._aims.append(aim)
        return aim

    def disarm(self) -> None:
        """Forget all aims, deliver everything that waits, and heal all partitions."""
        for aim in self._aims:
            for fault in aim.faults:
                fault.release.set()
        self._aims.clear()
        self.latency = 0.0
        for link in self.links:
            link.heal()

    def fault_for(self, link: Link, command: Command) -> Fault | None:
        self.commands[str(command)] += 1
        for aim in self._aims:
            if aim.hits(link, command):
                aim.count -= 1
                self.faults[aim.kind] += 1
                aim.faults.append(Fault(aim.kind, aim.seconds))
                return aim.faults[-1]
        return None

    @contextlib.contextmanager
    def in_flight(self) -> Iterator[None]:
        """Count a command as in flight for the duration of the context."""
        self.busy += 1
        try:
            yield
        finally:
            self.busy -= 1

    async def wait_until_idle(self, seconds: float = 0.3, limit: float = 20.0) -> None:
        """Wait until no command has been in flight for `seconds`. Raises TimeoutError."""
        async with asyncio.timeout(limit):
            quiet = 0
            while quiet < 10:
                await asyncio.sleep(seconds / 10)
                quiet = 0 if self.busy else quiet + 1


@contextlib.asynccontextmanager
async def running_relay(database_port: int) -> AsyncIterator[Relay]:
    relay = Relay(database_port)
    try:
        yield relay
    finally:
        await relay.stop()
