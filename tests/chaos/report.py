"""The table of a run: operations by outcome, faults by kind, and violations by property."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.chaos.history import Operation, Violation

COLUMNS = (
    *("2xx", "304", "401", "403", "404", "409", "412", "422", "503", "other", "lost", "unsent"),
)


class Report:
    """What the rounds of a run have counted."""

    def __init__(self) -> None:
        self.operations: dict[str, Counter[str]] = defaultdict(Counter)
        self.faults: Counter[str] = Counter()
        self.violations: list[Violation] = []
        self.durations: list[float] = []

    def count(self, operations: list[Operation]) -> None:
        for operation in operations:
            self.operations[operation.kind][column(operation)] += 1
            if operation.status is not None:
                self.durations.append(operation.end - operation.start)

    def lines(self) -> Iterator[str]:
        yield row("operations", ("count", *COLUMNS))
        total: Counter[str] = Counter()
        for kind, outcomes in sorted(self.operations.items()):
            total += outcomes
            yield row(kind, (outcomes.total(), *(outcomes[name] for name in COLUMNS)))
        yield row("all operations", (total.total(), *(total[name] for name in COLUMNS)))
        durations = sorted(self.durations) or [0.0]
        middle, late = (durations[int(len(durations) * share)] for share in (0.5, 0.99))
        yield f"response times: median {middle:.3f} s, 99% {late:.3f} s, max {durations[-1]:.3f} s"
        yield ""
        yield row("faults", ("count",))
        for kind, count in sorted(self.faults.items()):
            yield row(kind, (count,))
        yield row("all faults", (self.faults.total(),))
        yield ""
        yield row("violations", (len(self.violations),))
        for name, count in Counter(violation.property for violation in self.violations).items():
            yield row(f"  {name}", (count,))


def column(operation: Operation) -> str:
    """The column of the table in which an operation is counted."""
    if not operation.sent:
        return "unsent"
    if operation.status is None:
        return "lost"
    if 200 <= operation.status < 300:
        return "2xx"
    return str(operation.status) if str(operation.status) in COLUMNS else "other"


def row(name: str, cells: tuple[object, ...]) -> str:
    return f"{name:<42}" + "".join(f"{cell!s:>8}" for cell in cells)
