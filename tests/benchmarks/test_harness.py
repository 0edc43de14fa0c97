"""The benchmark itself: what it counts as latency, CPU time and commands, and how it sums up."""

import asyncio
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient

from game_api.database.embedded import EmbeddedDatabase
from tests.benchmarks.counts import EXPECTED, Counted, mistakes
from tests.benchmarks.load import poisson, run
from tests.benchmarks.processes import cpu_seconds
from tests.benchmarks.relay import CountingRelay
from tests.benchmarks.report import BEGIN, END, write_page
from tests.benchmarks.run import in_turn
from tests.benchmarks.servers import FLOOR, GAME_API
from tests.benchmarks.spread import Spread, percentile
from tests.benchmarks.where import part_of, read_stacks

Answer = Callable[[int], tuple[int, float]]
"""The status of the answer to the n-th request, and for how many seconds it is held back."""


@asynccontextmanager
async def local_server(answer: Answer) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server of HTTP; yields its port and the first lines of the requests."""
    lines: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            status, seconds = answer(len(lines))
            lines.append(head.split(b"\r\n", 1)[0])
            await asyncio.sleep(seconds)
            body = b"" if status == 204 else b"{}"
            writer.write(
                b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
            )
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield listener.sockets[0].getsockname()[1], lines
    listener.close()


async def loaded(answer: Answer, **options: Any) -> tuple[dict[str, Any], list[bytes]]:
    """The result of a run of the load generator, and the first lines of its requests."""
    async with local_server(answer) as (port, lines):
        return await run({"ports": [port], **options}), lines


async def test_the_latency_of_an_open_loop_counts_from_when_a_request_was_due() -> None:
    """A server that stands still delays all requests that fall due in the meantime."""
    still = 0.5
    result, _ = await loaded(
        lambda n: (200, 0 if n else still),
        operation="get_player",
        rate=100,
        seconds=0.2,
        connections=1,
    )
    due = poisson(100, 0.2)
    assert len(result["latencies_ms"]) == len(due) > 10
    for moment, latency in zip(due, result["latencies_ms"], strict=True):
        assert latency / 1000 >= still - (moment - due[0]) - 0.001  # Clocks are rounded.


async def test_clients_finish_what_they_have_begun() -> None:
    for options in ({"requests": 3}, {"rate": 100, "seconds": 0.25}):  # Both are odd numbers.
        _, lines = await loaded(
            lambda n: (204 if n % 2 else 201, 0), operation="join_leave", connections=1, **options
        )
        assert len(lines) >= 3
        assert [line[:3] for line in lines] == [b"PUT", b"DEL"] * (len(lines) // 2)


async def test_wrong_answers_are_counted() -> None:
    result, _ = await loaded(
        lambda n: (503 if n == 1 else 200, 0), operation="get_player", requests=4, connections=2
    )
    assert result["unexpected"] == {"503 {}": 1}


async def test_requests_at_once_each_have_a_connection() -> None:
    result, lines = await loaded(
        lambda n: (409 if n else 201, 0.05), at_once=[["PUT", f"/{n}", "p"] for n in range(5)]
    )
    assert sorted(result["answers"]) == ["201", *["409 None"] * 4] and len(lines) == 5


def test_the_cpu_time_is_that_of_the_process_clock() -> None:
    before = time.process_time()
    own = cpu_seconds(os.getpid())
    assert before <= own <= time.process_time()
    program = "import time; sum(range(10**6)); print(time.process_time(), flush=True); input()"
    with subprocess.Popen(
        (sys.executable, "-c", program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout
        assert float(child.stdout.readline()) <= cpu_seconds(child.pid)
        child.communicate("\n")


def test_percentiles_and_ratios() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0, 0.5, 0.99, 1)] == [1, 50, 99, 100]
    assert percentile([7], 0.5) == percentile([7], 0.99) == 7
    # Within a round, and not of the medians: the machine was slow in the second one.
    spread = Spread.of_ratios([2, 60, 9], [1, 20, 3])
    assert spread == Spread(3, 2, 3) and spread.text() == "3.00 (2.00-3.00)"


def test_each_round_begins_with_another_variant() -> None:
    assert ["".join(in_turn("abc", n)) for n in range(4)] == ["abc", "bca", "cab", "abc"]


async def test_the_relay_counts_the_commands_of_requests(server: EmbeddedDatabase) -> None:
    with CountingRelay(server.port) as relay:
        async with AsyncMongoClient[dict[str, Any]](relay.uri) as client:
            players = client.relayed.players
            await players.insert_one({"_id": 1})
            await players.find_one({"_id": 1})
            await players.find_one({"_id": 2})
            await client.admin.command("ping")
            await (await players.aggregate([{"$group": {"_id": None}}])).to_list()
        counted = {f"{command}": number for command, number in relay.take().items()}
        assert counted == {"insert players": 1, "find players": 2}
        assert not relay.take()


async def test_the_relay_delays_the_commands_of_requests(server: EmbeddedDatabase) -> None:
    with CountingRelay(server.port) as relay:
        async with AsyncMongoClient[dict[str, Any]](relay.uri) as client:
            await client.admin.command("ping")
            relay.latency = 0.2
            began = time.monotonic()
            await client.relayed.players.find_one({"_id": 1})
            assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("field", ["commands", "writes", "body_bytes"])
def test_a_count_that_is_not_as_expected_is_named(field: str) -> None:
    right = {name: Counted(expected, {}) for name, expected in EXPECTED.items()}
    assert not list(mistakes({FLOOR: right, GAME_API: right}))
    one_more = getattr(EXPECTED["status"], field) + 1
    wrong = Counted(dataclasses.replace(EXPECTED["status"], **{field: one_more}), {})
    (mistake,) = mistakes({FLOOR: right, GAME_API: right | {"status": wrong}})
    assert mistake.startswith(f"status of game-api: {one_more:g} ")


def test_only_what_is_between_the_markers_of_the_page_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_page("new", page)
    write_page("newer", page)
    assert page.read_text() == f"before\n{BEGIN}\n\nnewer\n\n{END}\nafter\n"


def test_a_sample_counts_for_the_innermost_package_or_module_of_the_service() -> None:
    lines = [
        "main\t/app/src/game_api/__main__.py\t1",
        "get\t/app/src/game_api/players/store.py\t70",
        "dumps\t/usr/lib/python3.13/json/__init__.py\t231",
        "3",
        "main\t/app/src/game_api/__main__.py\t1",
        "find_one\t/env/lib/python3.13/site-packages/pymongo/asynchronous/collection.py\t9",
        "2",
        "select\t/usr/lib/python3.13/selectors.py\t450",
        "1",
    ]
    counted = [(part_of(stack), count) for stack, count in read_stacks(lines)]
    assert counted == [("game_api.players.store", 3), ("pymongo", 2), ("standard library", 1)]
