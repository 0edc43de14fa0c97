"""Explore every scenario: `python -m tests.model [--quick] [PART OF A NAME]`."""

import argparse
import logging
import sys

from tests.model.explorer import explore
from tests.model.runs import exhaustive, quick
from tests.model.system import Bounds

HEADER = ("scenario", "writers", "faults", "states", "transitions", "ends", "seconds")
ROW = "{:70} {:>7} {:42} {:>9} {:>11} {:>7} {:>7}"


def faults(bounds: Bounds) -> str:
    """The bounds in short."""
    words = [f"{bounds.crashes} crash" * (bounds.crashes > 0), f"slow {bounds.slowness}"]
    if bounds.losses:
        reads = "+reads" if bounds.lose_reads else ""
        kinds = f" of {len(bounds.kinds)} kinds" if len(bounds.kinds) > 1 else ""
        words.insert(1, f"{bounds.losses} lost{reads}{kinds}")
    if bounds.split_reads:
        words.append("split")
    return ", ".join(word for word in words if word)


def main() -> int:
    """Print a row for each run, and the traces of violations; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the runs of the tests")
    parser.add_argument("name", nargs="?", default="", help="a part of the names of scenarios")
    options = parser.parse_args()
    logging.disable()  # The service logs each fault.
    print(ROW.format(*HEADER))
    violations = states = transitions = 0
    seconds = 0.0
    for scenario, bounds in quick() if options.quick else exhaustive():
        if options.name not in scenario.name:
            continue
        report = explore(scenario, bounds)
        counts = (report.states, report.transitions, report.ends, f"{report.seconds:.1f}")
        print(ROW.format(scenario.name, len(scenario.writers), faults(bounds), *counts), flush=True)
        states, transitions = states + report.states, transitions + report.transitions
        seconds += report.seconds
        if report.violation is not None:
            violations += 1
            print(f"VIOLATION: {report}", flush=True)
    print(
        ROW.format(
            "total", "", f"{violations} violations", states, transitions, "", f"{seconds:.0f}"
        )
    )
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
