"""The tables of a run, as Markdown, and the page in the documentation that contains them."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.counts import COUNTED
from tests.benchmarks.processes import ROOT
from tests.benchmarks.run import KEPT_CONNECTIONS, OFFERED_RATE, Results
from tests.benchmarks.servers import BY_THE_BOOK, FLOOR, PEERS
from tests.benchmarks.spread import Spread

PAGE = ROOT / "docs/performance.md"
DATA = ROOT / "build/benchmarks.json"
BEGIN, END = "<!-- begin: written by make bench -->", "<!-- end: written by make bench -->"

LABELS = {
    "get_player": "GET player",
    "get_session_8": "GET session, 8 members",
    "get_session_64": "GET session, 64 members",
    "create_player": "POST player",
    "sign_up": "POST player, with a new token",
    "create_session": "POST session",
    "join_leave": "join, then leave",
    "status": "update of the status",
    "list_sessions": "list of 20 sessions",
    "mix": "mix",
}


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def ratio_table(results: Results, measure: str, unit: str, digits: int = 0) -> str:
    """The medians of the floor, and the ratios of the others to it."""
    others = [name for name in results.variants if name != FLOOR]
    rows = []
    for operation, values in results.samples[measure].items():
        floor = values[FLOOR]
        ratios = [Spread.of_ratios(values[name], floor).text() for name in others]
        rows.append([LABELS[operation], f"{Spread.of(floor).median:.{digits}f}", *ratios])
    return table(["", f"{FLOOR}, {unit}", *others], rows)


def comparison_table(results: Results, base: str) -> str:
    """The CPU time of game-api, also from other source trees, as ratios to that of a peer."""
    names = [name for name in results.variants if name not in PEERS]
    rows = [
        [
            LABELS[operation],
            *(Spread.of_ratios(values[name], values[base]).text() for name in names),
        ]
        for operation, values in results.samples["cpu_us"].items()
    ]
    return table(["", *(f"{name} / {base}" for name in names)], rows)


def footprint_table(results: Results) -> str:
    rows = []
    for name in results.variants:
        starts, memory = results.starts[name], results.memory[name]
        rows.append(
            [
                name,
                f"{memory.idle.resident:.1f}",
                f"{memory.connected.resident - memory.idle.resident:.1f}",
                Spread.of([start.seconds for start in starts]).text(),
                Spread.of([start.cpu_seconds for start in starts]).text(),
            ]
        )
    header = ["", "idle, MiB", f"{KEPT_CONNECTIONS} connections more, MiB", "start, s", "CPU, s"]
    return table(header, rows)


def commands_table(results: Results) -> str:
    rows = []
    for operation in COUNTED:
        cells = []
        for name in results.variants:
            counted = results.counts[name][operation]
            names = ", ".join(sorted(counted.names))
            cells.append(f"{counted.count.commands:g}: {names}")
        rows.append([LABELS[operation], *cells])
    return table(["", *results.variants], rows)


def bytes_table(results: Results) -> str:
    rows = []
    for operation in COUNTED:
        counts = [results.counts[name][operation].count for name in results.variants]
        rows.append([LABELS[operation], *(f"{count.body_bytes:.0f}" for count in counts)])
    return table(["", *results.variants], rows)


def sections(results: Results) -> Iterator[tuple[str, str]]:
    """The title and the text of each table."""
    yield "CPU time for each request", ratio_table(results, "cpu_us", "us")
    if BY_THE_BOOK in results.variants:
        yield "CPU time beside the same service by the book", comparison_table(results, BY_THE_BOOK)
    yield "Throughput", ratio_table(results, "per_second", "requests/s")
    offered = f"at {OFFERED_RATE} requests a second"
    yield f"Median latency {offered}", ratio_table(results, "p50_ms", "ms", 2)
    yield f"99th percentile of the latency {offered}", ratio_table(results, "p99_ms", "ms", 2)
    yield "Memory, and time from the start to the first answer", footprint_table(results)
    yield "Database commands for each request", commands_table(results)
    yield "Bytes in the body of a response", bytes_table(results)


def markdown(results: Results, facts: Mapping[str, str]) -> str:
    given = "\n".join(f"- {name}: {text}" for name, text in facts.items())
    return "\n\n".join([given, *(f"### {title}\n\n{text}" for title, text in sections(results))])


def write_data(results: Results, facts: Mapping[str, str]) -> None:
    """Write everything that was measured as JSON, which git ignores."""

    def plain(value: Any) -> Any:
        return dataclasses.asdict(value)

    DATA.parent.mkdir(exist_ok=True)
    document = {"facts": facts, **vars(results)}
    DATA.write_text(json.dumps(document, default=plain, indent=1) + "\n")


def write_page(text: str, page: Path = PAGE) -> None:
    """Replace what is between the markers of the page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
