"""Requests with an `Idempotency-Key`: those that repeat each other are one for the checker."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from math import inf

from tests.chaos.history import IN_PROGRESS, Operation

Repeated = tuple[str, str]
"""The key and the marker of requests that repeat each other."""


def repetitions(operations: Iterable[Operation]) -> dict[Repeated, list[Operation]]:
    """The requests with a key that were sent; each list holds those that repeat each other."""
    groups: dict[Repeated, list[Operation]] = defaultdict(list)
    for operation in operations:
        if operation.key is not None and operation.sent:
            groups[operation.key, operation.marker].append(operation)
    return groups


def first_kept(group: Iterable[Operation]) -> Operation | None:
    """The request whose answer was final and came first."""
    return min((o for o in group if o.kept), key=lambda o: o.end, default=None)


def merged(operations: list[Operation]) -> Iterator[Operation]:
    """The operations in order, with one in the place of those that repeat each other."""
    yield from sorted(_merged_groups(operations), key=lambda operation: operation.start)


def _merged_groups(operations: list[Operation]) -> Iterator[Operation]:
    groups = repetitions(operations)
    for operation in operations:
        if operation.key is None:
            yield operation
        elif not operation.sent and (operation.key, operation.marker) not in groups:
            yield operation
    for group in groups.values():
        yield from _merged_party(group) if group[0].kind == "party" else [_merged(group)]


def _merged(group: list[Operation]) -> Operation:
    """The request that all of them are together, from the first request to the first answer."""
    start = min(operation.start for operation in group)
    answered = first_kept(group)
    if answered is not None:
        return replace(answered, start=start)
    refused = [o for o in group if o.outcome == "refused" and o.code != IN_PROGRESS]
    if refused and not any(operation.outcome == "unknown" for operation in group):
        return replace(refused[0], start=start)
    over = max(operation.over for operation in group)
    return replace(group[0], start=start, over=over, end=inf, status=503, answer={})


def _merged_party(group: list[Operation]) -> Iterator[Operation]:
    """The same for a party.

    Requests without an answer may have had effects of their own before the first final answer,
    because the players can leave in between.
    """
    answered = first_kept(group)
    end = inf if answered is None else answered.end
    unknown = [o for o in group if o.outcome == "unknown" and o.start < end]
    if answered is not None or not unknown:
        yield _merged(group)
    yield from unknown
