"""The command line of `make chaos`.

Runs processes of the service under load while commands, processes and clocks fail, and checks
everything that they responded. Exits with 1 if a property was violated.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

import uvloop

from tests.chaos.nemesis import PROFILES
from tests.chaos.report import Report
from tests.chaos.run import Run
from tests.chaos.stack import SetupError, running_stack

SECONDS = 300


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long to run")
    parser.add_argument("--seed", type=int, help="repeat the faults and requests of another run")
    parser.add_argument("--processes", type=int, default=3, help="how many processes to start")
    parser.add_argument(
        "--profile", action="append", choices=PROFILES, help="the faults of the rounds; repeatable"
    )
    parser.add_argument("--verbose", action="store_true", help="print every fault")
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(10**9)
    return options


async def run(options: argparse.Namespace) -> Report:
    histories = Path(tempfile.mkdtemp(prefix="chaos-"))
    with tempfile.TemporaryDirectory() as directory:
        async with running_stack(Path(directory)) as stack:
            session = Run(options, stack, histories)
            await session.run()
    if not session.report.violations:
        histories.rmdir()
    return session.report


def main() -> None:
    options = arguments()
    print(f"seed {options.seed}, {options.seconds:.0f} seconds", flush=True)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            report = runner.run(run(options))
    except SetupError as error:
        sys.exit(f"chaos: {error}")
    except BaseException:
        print(f"the run with seed {options.seed} has failed", file=sys.stderr)
        raise
    print()
    print("\n".join(report.lines()))
    if report.violations:
        profile = "".join(f" --profile {name}" for name in options.profile or ())
        command = f"--seconds {options.seconds:.0f} --seed {options.seed}{profile}"
        print(f'\nrepeat this run with: make chaos ARGS="{command}"')
        sys.exit(1)


if __name__ == "__main__":
    main()
