"""The command line of `make bench`.

Measures the service as it is shipped beside a floor and several peers: CPU time, throughput,
latency, memory, start, and database commands. Prints the tables; a full run also writes them into
docs/performance.md, and draws docs/performance.svg. Exits with 1 if an answer is wrong, or if an
operation needs other commands than expected, but never because the machine is slow.
"""

import argparse
import signal
import sys

from tests.benchmarks.counts import mistakes
from tests.benchmarks.facts import facts
from tests.benchmarks.operations import OPERATIONS
from tests.benchmarks.processes import BenchmarkFailed
from tests.benchmarks.report import DATA, markdown, write_data, write_page
from tests.benchmarks.run import Plan, run
from tests.benchmarks.servers import BY_THE_BOOK, FLOOR, GAME_API, variant

VARIANTS = (FLOOR, BY_THE_BOOK, "beanie", "models-only", GAME_API)
QUICK_VARIANTS = (FLOOR, BY_THE_BOOK, GAME_API)
OFFERED = ("get_player", "get_session_8", "create_player", "create_session", "mix")
"""At a fixed rate, the others would mostly wait for the embedded database, which would be busy."""
QUICK_OPERATIONS = ("get_player", "get_session_8", "create_player", "join_leave")
QUICK_OFFERED = ("get_player",)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less than 90 seconds; no page")
    parser.add_argument("--rounds", type=int, help="how often to measure everything")
    parser.add_argument(
        "--variants", help="a list, separated by commas; NAME=PATH is another source tree"
    )
    parser.add_argument("--operations", help=f"a list, separated by commas: {','.join(OPERATIONS)}")
    return parser.parse_args()


def plan(options: argparse.Namespace) -> Plan:
    """What to measure. Raises BenchmarkFailed for names that do not exist."""
    quick = options.quick
    variants = QUICK_VARIANTS if quick else VARIANTS
    operations = QUICK_OPERATIONS if quick else tuple(OPERATIONS)
    if options.variants:
        # Everything is compared with the floor.
        variants = tuple(dict.fromkeys((FLOOR, *options.variants.split(","))))
    if options.operations:
        operations = tuple(options.operations.split(","))
    names = [text.partition("=")[0] for text in variants]
    if len(set(names)) < len(names):
        raise BenchmarkFailed("two variants have the same name")
    if unknown := set(operations) - OPERATIONS.keys():
        raise BenchmarkFailed(f"there is no operation {', '.join(sorted(unknown))}")
    offered = QUICK_OFFERED if quick else OFFERED
    return Plan(
        [variant(text) for text in variants],
        operations,
        offered,
        rounds=options.rounds or (3 if quick else 5),
        starts=1 if quick else 5,
        requests=200 if quick else 600,
        offered_seconds=2 if quick else 3,
    )


def benchmark(options: argparse.Namespace) -> None:
    """Raises BenchmarkFailed."""
    what = plan(options)
    known = facts()
    results = run(what)
    text = markdown(results, known)
    print(text)
    write_data(results, known)
    print(f"\nthe values of all rounds are in {DATA}", file=sys.stderr)
    if not (options.quick or options.variants or options.operations):
        from tests.benchmarks.plot import draw  # matplotlib takes a second to load.

        write_page(text)
        draw(results)
    if wrong := list(mistakes(results.counts)):
        raise BenchmarkFailed("\n".join(["the counts are not as expected:", *wrong]))


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # The servers end as well.
    try:
        benchmark(arguments())
    except BenchmarkFailed as error:
        sys.exit(f"bench: {error}")


if __name__ == "__main__":
    main()
