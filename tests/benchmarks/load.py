"""The load generator, a process of its own. It answers each line of JSON with another one.

    {"ports": [8000], "operation": "get_player", "connections": 16, "requests": 400}
        A closed loop: each connection asks again as soon as it is answered.
    {"ports": [8000], "operation": "get_player", "connections": 64, "rate": 200, "seconds": 3}
        An open loop: requests are due at random moments (Poisson), whether or not others have been
        answered. The latency of a request counts from the moment at which it was due.
    {"ports": [8000], "at_once": [["PUT", "/path", "subject"], ...]}
        Each request has a connection of its own, and all are sent at the same moment.

It uses raw sockets on uvloop: a request costs some 30 microseconds, a tenth of what a client
library would take from the processor that the servers share.
"""

import asyncio
import gc
import json
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import uvloop

from tests.benchmarks.operations import (
    OPERATIONS,
    UNCOMPARED,
    Client,
    Request,
    encode,
    known_token,
    newcomers,
)

Answered = Callable[[int, bytes], None]
"""Is called with the status and the body of an answer."""
TIMEOUT = 120
"""How many seconds all requests of one run may take."""
SHOWN = 200
"""How much of the body of an unexpected answer is reported."""


class LoadFailed(Exception):
    """A run could not be finished."""


class Connection(asyncio.Protocol):
    """A connection that is kept alive, with one request at a time."""

    def __init__(self) -> None:
        self._buffer = b""
        self._answered: Answered | None = None
        self.lost: Callable[[], None] = lambda: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it.

    def send(self, data: bytes, answered: Answered) -> None:
        self._answered = answered
        self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        status = int(head[9:12])
        length = 0 if status in (204, 304) else content_length(head)
        if len(body) < length:
            return
        self._buffer = body[length:]
        answered, self._answered = self._answered, None
        assert answered is not None
        answered(status, body[:length])

    def connection_lost(self, error: Exception | None) -> None:
        if self._answered is not None:
            self.lost()

    def close(self) -> None:
        self._transport.close()


def content_length(head: bytes) -> int:
    name = b"\r\ncontent-length:"
    return int(head[head.lower().index(name) + len(name) :].split(b"\r\n", 1)[0])


class Run:
    """One run of the generator: its connections, and what they were answered."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.body_bytes = 0
        self.unexpected: Counter[str] = Counter()
        self.answers: dict[int, str] = {}
        self.connections: list[Connection] = []
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self, ports: Sequence[int], number: int) -> None:
        loop = asyncio.get_running_loop()
        for n in range(number):
            _, connection = await loop.create_connection(
                Connection, "127.0.0.1", ports[n % len(ports)]
            )
            connection.lost = self.lose
            self.connections.append(connection)

    def lose(self) -> None:
        if not self.finished.done():
            self.finished.set_exception(LoadFailed("a connection was closed before the answer"))

    def finish(self) -> None:
        if not self.finished.done():
            self.finished.set_result(None)

    def record(self, latency: float, request: Request, status: int, body: bytes) -> None:
        self.latencies.append(latency)
        self.body_bytes += len(body)
        if status != request.status:
            self.unexpected[f"{status} {body[:SHOWN].decode(errors='replace')}"] += 1

    async def closed_loop(self, clients: Sequence[Iterator[Request]], requests: int) -> None:
        running = len(self.connections)

        def drive(connection: Connection, client: Iterator[Request], left: int) -> None:
            whole = True

            def ask() -> None:
                nonlocal left, running, whole
                if left <= 0 and whole:
                    running -= 1
                    if not running:
                        self.finish()
                    return
                left -= 1
                request = next(client)
                whole = request.whole
                began = time.perf_counter()

                def answered(status: int, body: bytes) -> None:
                    self.record(time.perf_counter() - began, request, status, body)
                    ask()

                connection.send(request.data, answered)

            ask()

        for connection, client in zip(self.connections, clients, strict=True):
            drive(connection, client, requests // len(self.connections))
        await self.finished

    async def open_loop(self, clients: Sequence[Iterator[Request]], due: Sequence[float]) -> None:
        loop = asyncio.get_running_loop()
        idle = deque(zip(self.connections, clients, strict=True))
        waiting: deque[float] = deque()
        halfway: dict[Connection, Iterator[Request]] = {}
        """The clients that have to send another request before they may stop."""
        began = loop.time()

        def ask(connection: Connection, client: Iterator[Request], when: float) -> None:
            request = next(client)
            halfway.pop(connection, None)
            if not request.whole:
                halfway[connection] = client

            def answered(status: int, body: bytes) -> None:
                self.record(loop.time() - when, request, status, body)
                if waiting:
                    ask(connection, client, waiting.popleft())
                else:
                    idle.append((connection, client))
                if len(self.latencies) == len(due):
                    self.finish()

            connection.send(request.data, answered)

        def fall_due(when: float) -> None:
            if idle:
                ask(*idle.popleft(), when)
            else:
                waiting.append(when)

        for moment in due:
            loop.call_at(began + moment, fall_due, began + moment)
        await self.finished
        await self.settle(halfway)

    async def settle(self, halfway: dict[Connection, Iterator[Request]]) -> None:
        """Let clients finish what they have begun; this is not measured."""
        loop = asyncio.get_running_loop()
        for connection, client in halfway.items():
            answer: asyncio.Future[int] = loop.create_future()
            request = next(client)
            connection.send(request.data, partial(settled, answer))
            if await answer != request.status:
                raise LoadFailed("a client could not finish what it had begun")

    async def all_at_once(self, requests: Sequence[bytes]) -> None:
        began = time.perf_counter()

        def answered(number: int, status: int, body: bytes) -> None:
            self.latencies.append(time.perf_counter() - began)
            self.body_bytes += len(body)
            self.answers[number] = f"{status} {code_of(body)}" if status >= 400 else f"{status}"
            if len(self.latencies) == len(requests):
                self.finish()

        for number, (connection, data) in enumerate(zip(self.connections, requests, strict=True)):
            connection.send(data, partial(answered, number))
        await self.finished


def settled(answer: "asyncio.Future[int]", status: int, body: bytes) -> None:
    answer.set_result(status)


def code_of(body: bytes) -> str:
    """The code of a problem document, or the `detail` with which FastAPI reports an error."""
    try:
        problem = json.loads(body)
    except ValueError:
        return body[:SHOWN].decode(errors="replace")
    return str(problem.get("code") or problem.get("detail"))


def poisson(rate: float, seconds: float) -> list[float]:
    """Random moments, the same each time, so that all variants are offered the same load."""
    moments, moment, choice = [], 0.0, random.Random(1)
    while (moment := moment + choice.expovariate(rate)) < seconds:
        moments.append(moment)
    return moments


async def run(options: dict[str, Any]) -> dict[str, Any]:
    """Make one run; all options are explained above."""
    this = Run()
    due = poisson(options["rate"], options["seconds"]) if "rate" in options else []
    if "at_once" in options:
        requests = [
            encode(method, path, known_token(subject))
            for method, path, subject in options["at_once"]
        ]
        await this.connect(options["ports"], len(requests))
        work = this.all_at_once(requests)
    else:
        await this.connect(options["ports"], options["connections"])
        total = len(due) or options["requests"]
        # A client may send one request more than its share, to finish what it has begun.
        created = newcomers(time.time_ns() // 1000 % 16**12, total + len(this.connections))
        operation = (OPERATIONS | UNCOMPARED)[options["operation"]]
        clients = [operation(Client(n, created)) for n in range(len(this.connections))]
        work = this.open_loop(clients, due) if due else this.closed_loop(clients, total)
    gc.collect()
    gc.disable()  # Collecting garbage would count as latency of the server.
    began = time.perf_counter()
    try:
        await asyncio.wait_for(work, TIMEOUT)
    finally:
        gc.enable()
    seconds = time.perf_counter() - began
    for connection in this.connections:
        connection.close()
    return {
        "seconds": seconds,
        "latencies_ms": [round(latency * 1000, 4) for latency in this.latencies],
        "body_bytes": this.body_bytes,
        "unexpected": this.unexpected,
        "answers": [this.answers[number] for number in range(len(this.answers))],
    }


def main() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            try:
                result = runner.run(run(json.loads(line)))
            except (LoadFailed, OSError, TimeoutError) as error:
                result = {"error": str(error) or type(error).__name__}
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
