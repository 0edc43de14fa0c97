"""Metrics of the service, for CloudWatch and for Prometheus.

Recorded values are pending at first. Every ten seconds the pending values become Embedded Metric
Format documents for CloudWatch and are added to the totals. Prometheus reads the totals plus the
pending values, so that both readers get each value exactly once.
"""

import json
import re
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

NAMESPACE = "GameSession"
REPORT_SECONDS = 10
MAX_VALUES = 100
"""The maximum length of an array in an Embedded Metric Format document."""

MAX_PENDING = 100_000
"""How many values of one instrument and label may be pending. It is reached only if the reports
have ended; CloudWatch does not get the values then, but Prometheus does."""

LATENCIES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, eq=False)  # Compared by identity, so that it hashes fast.
class Instrument:
    """A metric: its name, unit, description and optional dimension."""

    name: str
    kind: Literal["counter", "values", "gauge"]
    unit: Literal["Count", "Milliseconds", "Percent"]
    help: str
    dimension: str | None = None
    buckets: tuple[float, ...] = ()
    """The upper bounds of the histogram for Prometheus."""

    @property
    def prometheus_name(self) -> str:
        """The name in the style of Prometheus: snake case and base units (seconds, ratios)."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", self.name).lower()
        suffix = {"Count": "", "Milliseconds": "_seconds", "Percent": "_ratio"}[self.unit]
        return f"game_session_{words}{suffix}"

    @property
    def scale(self) -> float:
        """The factor from this unit to the base unit of Prometheus."""
        return {"Count": 1.0, "Milliseconds": 0.001, "Percent": 0.01}[self.unit]


API_LATENCY = Instrument(
    "APILatency", "values", "Milliseconds", "The duration of requests.", "Route", LATENCIES
)
REQUEST_COUNT = Instrument("RequestCount", "counter", "Count", "Completed requests.", "Route")
ERROR_RATE = Instrument(
    "ErrorRate",
    "values",
    "Percent",
    "100 for a request that failed with 5xx, otherwise 0.",
    "Route",
)
UNAUTHENTICATED = Instrument("Unauthenticated", "counter", "Count", "Requests refused with 401.")
FORBIDDEN = Instrument("Forbidden", "counter", "Count", "Requests refused with 403.")
RATE_LIMITED = Instrument("RateLimited", "counter", "Count", "Requests refused with 429.")
JOINS = Instrument("Joins", "counter", "Count", "Joins by outcome.", "Outcome")
SESSIONS_CREATED = Instrument("SessionsCreated", "counter", "Count", "Created sessions.")
SESSIONS_ENDED = Instrument(
    "SessionsEnded", "counter", "Count", "Ended sessions by final status.", "Status"
)
LIVE_SESSIONS = Instrument("LiveSessions", "gauge", "Count", "Sessions that have not ended.")
SEATED_PLAYERS = Instrument(
    "SeatedPlayers", "gauge", "Count", "Players with a seat in a live session."
)
CONFLICTS_RETRIED = Instrument(
    "ConflictsRetried",
    "counter",
    "Count",
    "Rounds that were repeated because another process had written.",
)
GROUP_COMMIT_SIZE = Instrument(
    "GroupCommitSize", "values", "Count", "The number of changes in one round.", buckets=SIZES
)
DATABASE_LATENCY = Instrument(
    "DatabaseLatency",
    "values",
    "Milliseconds",
    "The duration of database commands, including the wait for a connection.",
    "Command",
    LATENCIES,
)
DATABASE_COMMANDS_IN_FLIGHT = Instrument(
    "DatabaseCommandsInFlight",
    "gauge",
    "Count",
    "Database commands that run, or wait for a connection.",
)
LOG_RECORDS_DROPPED = Instrument("LogRecordsDropped", "counter", "Count", "Dropped log records.")

REFUSALS = {401: UNAUTHENTICATED, 403: FORBIDDEN, 429: RATE_LIMITED}
INSTRUMENTS = tuple(value for value in vars().values() if isinstance(value, Instrument))

Key = tuple[Instrument, str]
"""An instrument and the value of its dimension ("" if it has none)."""


@dataclass
class Distribution:
    """The number of values in each bucket, and their sum."""

    buckets: list[int]
    count: int = 0
    sum: float = 0.0

    def add(self, instrument: Instrument, values: list[float]) -> None:
        for value in values:
            self.buckets[bisect_left(instrument.buckets, value)] += 1
        self.count += len(values)
        self.sum += sum(values)


@dataclass
class Pending:
    """The values recorded since the last report."""

    counts: dict[Key, int] = field(default_factory=lambda: defaultdict(int))
    values: dict[Key, list[float]] = field(default_factory=lambda: defaultdict(list))


class Metrics(Collector):
    """Records values from any thread. `take_documents` and `collect` are its readers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending = Pending()
        self._gauges: dict[Key, float] = defaultdict(float)
        self._counts: dict[Key, int] = defaultdict(int)
        self._distributions: dict[Key, Distribution] = {}

    def count(self, instrument: Instrument, label: str = "", amount: int = 1) -> None:
        with self._lock:
            self._pending.counts[instrument, label] += amount

    def observe(self, instrument: Instrument, value: float, label: str = "") -> None:
        with self._lock:
            self._observe((instrument, label), value)

    def set(self, instrument: Instrument, value: float) -> None:
        with self._lock:
            self._gauges[instrument, ""] = value

    def add(self, instrument: Instrument, change: int) -> None:
        """Change a gauge."""
        with self._lock:
            self._gauges[instrument, ""] += change

    def request(self, route: str, milliseconds: float, status: int) -> None:
        """Record a completed request under the template of its route."""
        with self._lock:
            self._pending.counts[REQUEST_COUNT, route] += 1
            if refusal := REFUSALS.get(status):
                self._pending.counts[refusal, ""] += 1
            self._observe((API_LATENCY, route), milliseconds)
            self._observe((ERROR_RATE, route), 100 if status >= 500 else 0)

    def _observe(self, key: Key, value: float) -> None:
        values = self._pending.values[key]
        values.append(value)
        if len(values) >= MAX_PENDING:
            self._distribution(self._distributions, key).add(key[0], values)
            values.clear()

    def take_documents(self) -> list[str]:
        """Move pending values to the totals; returns them as Embedded Metric Format documents."""
        with self._lock:
            pending, self._pending = self._pending, Pending()
            gauges = dict(self._gauges)
            for key, amount in pending.counts.items():
                self._counts[key] += amount
            for key, values in pending.values.items():
                self._distribution(self._distributions, key).add(key[0], values)
        now = int(time.time() * 1000)
        return [json.dumps(document) for document in emf_documents(pending, gauges, now)]

    def collect(self) -> Iterator[Metric]:
        """All values since the start, as Prometheus metric families."""
        with self._lock:
            counts = {
                key: self._counts[key] + self._pending.counts.get(key, 0)
                for key in {*self._counts, *self._pending.counts}
            }
            distributions: dict[Key, Distribution] = {}
            for key in {*self._distributions, *self._pending.values}:
                merged = self._distribution(distributions, key)
                if (total := self._distributions.get(key)) is not None:
                    merged.buckets[:] = total.buckets
                    merged.count, merged.sum = total.count, total.sum
                merged.add(key[0], self._pending.values.get(key, []))
            gauges = dict(self._gauges)
        for instrument in INSTRUMENTS:
            yield family(instrument, counts, distributions, gauges)

    @staticmethod
    def _distribution(where: dict[Key, Distribution], key: Key) -> Distribution:
        if key not in where:
            where[key] = Distribution([0] * (len(key[0].buckets) + 1))
        return where[key]


def emf_documents(
    pending: Pending, gauges: Mapping[Key, float], now: int
) -> Iterator[dict[str, Any]]:
    """Embedded Metric Format documents, one or more for each value of each dimension.

    Each metric is published with and without its dimension. `now` is in milliseconds since 1970.
    """
    groups: dict[tuple[str | None, str], dict[Instrument, Any]] = defaultdict(dict)
    for (instrument, label), value in [
        *pending.counts.items(),
        *pending.values.items(),
        *gauges.items(),
    ]:
        groups[instrument.dimension, label][instrument] = value
    for (dimension, label), measured in groups.items():
        longest = max(len(v) if isinstance(v, list) else 1 for v in measured.values())
        for start in range(0, longest, MAX_VALUES):
            part = {
                instrument: value[start : start + MAX_VALUES] if isinstance(value, list) else value
                for instrument, value in measured.items()
                if (len(value) > start if isinstance(value, list) else start == 0)
            }
            yield {
                "_aws": {
                    "Timestamp": now,
                    "CloudWatchMetrics": [
                        {
                            "Namespace": NAMESPACE,
                            "Dimensions": [[], [dimension]] if dimension else [[]],
                            "Metrics": [{"Name": i.name, "Unit": i.unit} for i in part],
                        }
                    ],
                },
                **({dimension: label} if dimension else {}),
                **{instrument.name: value for instrument, value in part.items()},
            }


def family(
    instrument: Instrument,
    counts: Mapping[Key, int],
    distributions: Mapping[Key, Distribution],
    gauges: Mapping[Key, float],
) -> Metric:
    """The state of an instrument as a Prometheus metric family."""
    name, scale = instrument.prometheus_name, instrument.scale
    labels = [instrument.dimension.lower()] if instrument.dimension else []

    def label_values(label: str) -> list[str]:
        return [label] if labels else []

    if instrument.kind == "counter":
        counter = CounterMetricFamily(name, instrument.help, labels=labels)
        for (other, label), count in counts.items():
            if other is instrument:
                counter.add_metric(label_values(label), count)
        return counter
    if instrument.kind == "gauge":
        gauge = GaugeMetricFamily(name, instrument.help, labels=labels)
        gauge.add_metric([], gauges.get((instrument, ""), 0.0))
        return gauge
    summary = SummaryMetricFamily(name, instrument.help, labels=labels)
    histogram = HistogramMetricFamily(name, instrument.help, labels=labels)
    bounds = [str(float(round(b * scale, 6))) for b in instrument.buckets] + ["+Inf"]
    for (other, label), measured in distributions.items():
        if other is instrument:
            cumulative = list(accumulate(measured.buckets))
            total = measured.sum * scale
            summary.add_metric(label_values(label), measured.count, total)
            histogram.add_metric(
                label_values(label), list(zip(bounds, cumulative, strict=True)), total
            )
    return histogram if instrument.buckets else summary
