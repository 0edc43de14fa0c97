"""Detects commands of the driver that Amazon DocumentDB 5.0 does not support."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

STAGES = {"$set", "$unset", "$merge", "$facet", "$unionWith", "$sortByCount", "$replaceWith"}
"""Aggregation stages that DocumentDB does not support."""
COMMANDS = {"mapReduce", "validateDBMetadata", "bulkWrite", "dataSize"}
"""Commands that DocumentDB does not support."""


def refusals(name: str, command: Mapping[str, Any]) -> Iterator[str]:
    """Yield each reason why DocumentDB 5.0 refuses this command."""
    if name in COMMANDS:
        yield f"{name}: not supported"
    if "collation" in command:
        yield f"{name}: collation"
    if "txnNumber" in command and not command.get("startTransaction"):
        yield f"{name}: retryable write"
    if "afterClusterTime" in command.get("readConcern", {}):
        yield f"{name}: causal consistency"
    for update in command.get("updates", ()):
        if isinstance(update["u"], list):
            yield "update: pipeline form"
        if "collation" in update:
            yield "update: collation"
    if isinstance(command.get("update"), list):
        yield "findAndModify: pipeline form"
    for stage in command.get("pipeline", ()):
        for kind, body in stage.items():
            if kind in STAGES:
                yield f"aggregate: {kind}"
            if kind == "$lookup" and ({"let", "pipeline"} & set(body)):
                yield "aggregate: correlated $lookup"
    for index in command.get("indexes", ()):
        if "collation" in index:
            yield "createIndexes: collation"
        for field, kind in index["key"].items():
            if kind == "hashed" or "$**" in field:
                yield "createIndexes: hashed or wildcard"


class DocumentDbGuard(CommandListener):
    """Counts commands by name and collection, and records those that DocumentDB refuses."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.count: Counter[tuple[str, str]] = Counter()

    def forget(self) -> None:
        """Reset the counts."""
        self.count.clear()

    def started(self, event: CommandStartedEvent) -> None:
        name = event.command_name
        self.count[name, str(event.command.get(name))] += 1
        self.refused += refusals(name, event.command)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass
