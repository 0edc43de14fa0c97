"""The command line of `make clients`.

Generates clients of the OpenAPI document in four languages with pinned generators, compiles them,
and runs the same flow with each against the running service, and against a later version of it.
The service requires tokens.
Then it lints the document, and tests the clients in `clients/`. Exits with 1 if something fails.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.clients import document
from tests.clients.access import new_access
from tests.clients.building import SCRATCH, Result, Running, build
from tests.clients.generators import GENERATORS
from tests.clients.installable import INSTALLABLE, test
from tests.clients.stub import later_service
from tests.service import Service

WORKERS = 2
"""How many clients are built side by side."""

STEPS = ("generated", "compiled", "flow", "growth", "tests")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=__doc__)
    names = [client.language for client in GENERATORS] + [client.name for client in INSTALLABLE]
    names.append(document.NAME)
    parser.add_argument("--only", action="append", choices=names, help="repeatable")
    return parser.parse_args()


def check_programs(programs: Sequence[str]) -> None:
    """Exits with one line that names the programs that are missing."""
    if missing := sorted({program for program in programs if not shutil.which(program)}):
        sys.exit(f"clients: please install {', '.join(missing)}, or choose others with --only")


def write_document() -> None:
    SCRATCH.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "game_api", "openapi"]
    with (SCRATCH / "openapi.json").open("w") as document:
        if subprocess.run(command, stdout=document).returncode:
            sys.exit("clients: the service can't print its OpenAPI document")


def table(results: Sequence[Result]) -> str:
    names = {generator.language: generator.name for generator in GENERATORS}
    names[document.NAME] = "spectral, redocly"
    rows: list[tuple[str, ...]] = [("client", "generator", *STEPS, "codes typed", "seconds")]
    for result in results:
        outcomes = [outcome(result, step) for step in STEPS]
        codes = str(result.codes) if result.codes else ""
        seconds = f"{sum(result.seconds.values()):.0f}"
        rows.append((result.name, names.get(result.name, ""), *outcomes, codes, seconds))
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    )


def report(results: Sequence[Result], seconds: float) -> None:
    """Print the output of what has failed, the table, and the shortcomings of the generators."""
    for result in results:
        if result.failed:
            print(f"\n{result.name}: {result.failed} FAILED\n{result.output}")
    print(f"\n{table(results)}\n")
    built = {result.name for result in results}
    for generator in GENERATORS:
        if generator.note and generator.language in built:
            print(f"{generator.language}: {generator.note}")
    print(f"{seconds:.0f} seconds")


def outcome(result: Result, step: str) -> str:
    if step not in result.seconds:
        return "-"
    return "FAILED" if result.failed == step else "yes"


def main() -> None:
    only = arguments().only
    generators = [g for g in GENERATORS if not only or g.language in only]
    clients = [c for c in INSTALLABLE if c.folder.is_dir() and (not only or c.name in only)]
    needed = [generator.programs for generator in generators]
    needed += [client.programs for client in clients]
    lint = not only or document.NAME in only
    if lint:
        needed.append(document.PROGRAMS)
    check_programs([program for programs in needed for program in programs])
    started = time.monotonic()
    write_document()
    access = new_access()
    settings = access.settings | {"GAME_API_PORT": "0"}
    with (
        tempfile.TemporaryDirectory() as data,
        Service(settings | {"GAME_API_DATA_DIR": data}) as service,
        later_service(service.address) as later,
        ThreadPoolExecutor(WORKERS) as pool,
    ):
        running = Running(service.address, later, access.environment)
        building = [pool.submit(build, generator, running) for generator in generators]
        if lint:
            building.append(pool.submit(document.lint))
        building += [pool.submit(test, client, running) for client in clients]
        results = [future.result() for future in building]
    report(results, time.monotonic() - started)
    if any(result.failed for result in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
