"""MongoDB's wire protocol, as far as the relay has to understand it."""

import asyncio
import struct
from dataclasses import dataclass

HEADER = struct.Struct("<iiii")
LENGTH = struct.Struct("<i")
OP_MSG = 2013
STRING = 0x02
"""The type of a string in BSON."""

MONITORING = {"hello", "ismaster", "ping", "buildinfo", "endsessions"}
"""Commands of the driver itself and of readiness checks, in lower case."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a message asks the database to do, for instance `update` on `players`."""

    name: str
    collection: str | None = None

    @property
    def monitoring(self) -> bool:
        return self.name.lower() in MONITORING

    def __str__(self) -> str:
        return self.name if self.collection is None else f"{self.name} {self.collection}"


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message with its header."""

    data: bytes

    @property
    def request_id(self) -> int:
        return int(HEADER.unpack_from(self.data)[1])

    @property
    def response_to(self) -> int:
        return int(HEADER.unpack_from(self.data)[2])

    @property
    def command(self) -> Command:
        """The command of a request. The legacy form of the handshake counts as `hello`."""
        if HEADER.unpack_from(self.data)[3] != OP_MSG:
            return Command("hello")
        position = HEADER.size + LENGTH.size  # The flags follow the header.
        while self.data[position]:  # A section of kind 1 holds documents that belong to the body.
            position += 1 + int(LENGTH.unpack_from(self.data, position + 1)[0])
        return first_element(self.data, position + 1)


def first_element(data: bytes, document: int) -> Command:
    """The command that the BSON document at this position describes with its first element."""
    kind = data[document + LENGTH.size]
    start = document + LENGTH.size + 1
    end = data.index(0, start)
    name = data[start:end].decode()
    if kind != STRING:
        return Command(name)
    length = int(LENGTH.unpack_from(data, end + 1)[0])
    text = end + 1 + LENGTH.size
    return Command(name, data[text : text + length - 1].decode())


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """The next message, or None if the connection has ended."""
    try:
        length = await reader.readexactly(LENGTH.size)
        rest = await reader.readexactly(LENGTH.unpack(length)[0] - LENGTH.size)
    except (asyncio.IncompleteReadError, OSError):
        return None
    return Message(length + rest)
