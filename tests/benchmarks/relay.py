"""A relay in front of the database, which counts the commands that pass, whatever the driver."""

import asyncio
import threading
from collections import Counter
from typing import Self

from tests.benchmarks.servers import HOST, database_uri
from tests.chaos.wire import Command, read_message

WRITES = {"insert", "update", "delete", "findAndModify"}
CENSUS = b"$group"
"""Only the metrics of the service group documents, from time to time and for no request."""


class CountingRelay:
    """Counts commands on the way to the database, but not those of the drivers themselves."""

    def __init__(self, database_port: int) -> None:
        self.latency = 0.0
        """The number of seconds by which each command is delayed."""
        self._database_port = database_port
        self._count: Counter[Command] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def uri(self) -> str:
        return database_uri(self.port)

    def take(self) -> Counter[Command]:
        """The commands since the last call."""
        count, self._count = self._count, Counter()
        return count

    def __enter__(self) -> Self:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._accept, HOST, 0), self._loop
        ).result()
        self.port: int = server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _accept(self, driver: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        responses, database = await asyncio.open_connection(HOST, self._database_port)

        async def return_answers() -> None:
            while data := await responses.read(65536):
                answers.write(data)
            answers.close()

        returning = asyncio.create_task(return_answers())
        while (message := await read_message(driver)) is not None:
            command = message.command
            if not command.monitoring and CENSUS not in message.data:
                self._count[command] += 1
                await asyncio.sleep(self.latency)
            database.write(message.data)
        database.close()
        await returning
