"""What exists once in a process: its settings, metrics, logs and lifecycle."""

import asyncio
import time
from dataclasses import dataclass, field

from game_api.observability.logs import Logs
from game_api.observability.metrics import Metrics
from game_api.settings import Settings


class Lifecycle:
    """When the process started, and whether it has begun to shut down."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.shutdown = asyncio.Event()
        """Set when the shutdown begins, so that whatever runs for long can await it and end."""

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started


@dataclass(frozen=True)
class Runtime:
    """The process-wide objects, which `__main__` makes and `create_app` uses."""

    settings: Settings
    metrics: Metrics = field(default_factory=Metrics)
    logs: Logs = field(default_factory=Logs)
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
