"""The runs: which scenarios are explored within which bounds."""

from collections.abc import Iterator

from tests.model.scenarios import KEYED, THREE, TWO, Scenario
from tests.model.system import Bounds

Run = tuple[Scenario, Bounds]

EVERY_LOSS = ("cut", "timeout", "unacknowledged")
FAST, SLOWER, SLOW = 0.05, 0.1, 0.2
"""How long a command may wait. Only from SLOWER on, patience may end while its owner works."""

MANY_REQUESTS, MANY_ATTEMPTS = "bystander", ("at once, and", "joins another session")
MUCH_TIME = "clock"
"""Parts of the names of scenarios that have more states than others."""


def quick() -> Iterator[Run]:
    """Runs that take some seconds in total."""
    for scenario in TWO:
        losses = 0 if MANY_REQUESTS in scenario.name else 1
        yield scenario, Bounds(crashes=1, losses=losses, slowness=FAST)
    for scenario in THREE:
        yield scenario, Bounds(crashes=0 if MUCH_TIME in scenario.name else 1, slowness=FAST)
    for scenario in KEYED:
        many = any(part in scenario.name for part in MANY_ATTEMPTS)
        yield scenario, Bounds(crashes=1, losses=0 if many else 1, slowness=FAST)


def exhaustive() -> Iterator[Run]:
    """Runs that take some minutes in total."""
    for scenario in TWO:
        if MANY_REQUESTS in scenario.name:
            yield scenario, Bounds(slowness=SLOWER)
            yield scenario, Bounds(crashes=1, losses=1, slowness=FAST)
            continue
        yield scenario, Bounds(crashes=1, slowness=SLOW)
        yield scenario, Bounds(losses=1, slowness=SLOW)
        yield scenario, Bounds(
            crashes=1,
            losses=1,
            kinds=EVERY_LOSS,
            slowness=SLOWER,
            lose_reads=True,
            split_reads=True,
        )
        yield scenario, Bounds(crashes=2, losses=2, slowness=FAST)
    for scenario in THREE:
        if MUCH_TIME in scenario.name:
            yield scenario, Bounds(crashes=1, slowness=SLOWER)
            yield scenario, Bounds(losses=1, slowness=FAST)
            continue
        yield scenario, Bounds(crashes=1, slowness=SLOWER)
        yield scenario, Bounds(losses=1, kinds=EVERY_LOSS, lose_reads=True, slowness=FAST)
        yield scenario, Bounds(crashes=1, losses=1, slowness=FAST)
    for scenario in KEYED:
        if len(scenario.writers) == 2:
            yield scenario, Bounds(
                crashes=1,
                losses=1,
                kinds=EVERY_LOSS,
                slowness=SLOWER,
                lose_reads=True,
                split_reads=True,
            )
            yield scenario, Bounds(crashes=2, losses=2, slowness=FAST)
            continue
        yield scenario, Bounds(crashes=1, losses=1, slowness=FAST)
        yield scenario, Bounds(losses=2, slowness=FAST)
