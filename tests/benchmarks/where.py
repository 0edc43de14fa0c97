"""The command line of `make bench-profile`: where the CPU time of a request goes.

Samples the main thread of a server, and prints the CPU time of each package and module, of the
lines that ran, and of the functions that ran or had called them.
"""

import argparse
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.documents import seed
from tests.benchmarks.measure import Load, asked
from tests.benchmarks.operations import OPERATIONS
from tests.benchmarks.processes import BenchmarkFailed
from tests.benchmarks.report import table
from tests.benchmarks.servers import GAME_API, DatabaseServer, Server, variant

SAMPLER = "tests.benchmarks.sampler"
PACKAGE = re.compile(r"site-packages/([\w-]+)|/(game_api/[\w/]+|tests/benchmarks/peers/\w+)\.py$")
OTHER = "standard library"
SHOWN = 40


@dataclass(frozen=True)
class Frame:
    """A function that ran, and its line."""

    function: str
    file: str
    line: int

    @property
    def part(self) -> str | None:
        """The package, or the module of the service; None for the standard library."""
        found = PACKAGE.search(self.file)
        return found and (found[1] or found[2].replace("/", "."))

    @property
    def place(self) -> str:
        return f"{re.sub(r'^.*(site-packages|src|lib/python[^/]*)/', '', self.file)}:{self.line}"


def part_of(stack: list[Frame]) -> str:
    """The innermost part of a stack. What the standard library does counts for its caller."""
    return next((part for frame in reversed(stack) if (part := frame.part)), OTHER)


def read_stacks(lines: Iterable[str]) -> Iterator[tuple[list[Frame], int]]:
    """The stacks that the sampler has written, the outermost frame first, and how often."""
    stack: list[Frame] = []
    for line in lines:
        fields = line.rstrip("\n").split("\t")
        if len(fields) == 1:
            yield stack, int(fields[0])
            stack = []
        else:
            stack.append(Frame(fields[0], fields[1], int(fields[2])))


def tables(stacks: Iterable[tuple[list[Frame], int]], microseconds: float) -> str:
    """The tables of one operation, a request of which takes so much CPU time."""
    parts: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for stack, count in stacks:
        parts[part_of(stack)] += count
        lines[f"{stack[-1].function} ({stack[-1].place})"] += count
        for name in {f"{f.function} ({f.place.rpartition(':')[0]})" for f in stack}:
            functions[name] += count
    total = parts.total()
    found = [f"{total} samples"]
    for title, counter in (("part", parts), ("line", lines), ("function, with calls", functions)):
        rows = [
            [name, f"{100 * count / total:.1f}", f"{microseconds * count / total:.0f}"]
            for name, count in counter.most_common()
            if count < total  # All stacks begin with the same functions.
        ]
        found.append(table([title, "%", "us"], rows[:SHOWN]))
    return "\n\n".join(found)


def main_thread_seconds(process_id: int) -> float:
    """The CPU time of the main thread of a process."""
    text = Path(f"/proc/{process_id}/task/{process_id}/schedstat").read_text()
    return int(text.split()[0]) / 1e9


def profile(load: Load, server: Server, output: Path, operation: str, requests: int) -> str:
    """Sample one operation, and return its tables."""
    asked(load, server, operation, requests=300, connections=16)
    output.unlink(missing_ok=True)
    server.signal(signal.SIGUSR1)
    before = main_thread_seconds(server.id)
    done = asked(load, server, operation, requests=requests, connections=16)
    spent = (main_thread_seconds(server.id) - before) / done.requests * 1e6
    server.signal(signal.SIGUSR2)
    asked(load, server, operation, requests=50, connections=1)  # A signal is seen with some work.
    server.wait_until(output.exists)
    with output.open() as lines:
        return f"{spent:.0f} us of the main thread, {tables(read_stacks(lines), spent)}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.where", description=__doc__)
    parser.add_argument("--variant", default=GAME_API, help="NAME=PATH is another source tree")
    parser.add_argument("--operations", default="get_player,get_session_8,join_leave")
    parser.add_argument("--requests", type=int, default=8000)
    options = parser.parse_args()
    operations = options.operations.split(",")
    if unknown := set(operations) - OPERATIONS.keys():
        sys.exit(f"bench: there is no operation {', '.join(sorted(unknown))}")
    try:
        with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
            directory = Path(name)
            output = directory / "stacks"
            with DatabaseServer(directory) as database, Load() as load:
                seed(database.uri, "profile")
                launcher = (SAMPLER, f"{output}")
                given = variant(options.variant), database.uri, "profile", directory
                with Server(*given, launcher) as server:
                    server.wait_until_ready()
                    for operation in operations:
                        found = profile(load, server, output, operation, options.requests)
                        print(f"## {operation}\n\n{found}\n", flush=True)
    except BenchmarkFailed as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
