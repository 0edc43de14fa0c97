"""What the service counts and measures: one source, read by CloudWatch and by Prometheus.

Recording appends to what is pending. Every ten seconds the pending part is taken: it becomes
Embedded Metric Format documents for CloudWatch and is folded into the totals, which are what
Prometheus sees together with what is pending. No number is kept twice.
"""

import json
import re
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
"""How many values an array of an Embedded Metric Format document may hold."""

LATENCIES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, eq=False)  # equal is identical: the keys of every recording hash fast
class Instrument:
    """A metric: its name, unit and meaning, and the dimension that it may be split by."""

    name: str
    kind: Literal["counter", "values", "gauge"]
    unit: Literal["Count", "Milliseconds", "Percent"]
    help: str
    dimension: str | None = None
    buckets: tuple[float, ...] = ()
    """Upper bounds of the histogram that Prometheus sees."""

    @property
    def prometheus_name(self) -> str:
        """The name in Prometheus' conventions: snake case, base units (seconds, ratios)."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", self.name).lower()
        suffix = {"Count": "", "Milliseconds": "_seconds", "Percent": "_ratio"}[self.unit]
        return f"game_session_{words}{suffix}"

    @property
    def scale(self) -> float:
        """What a value is multiplied by for Prometheus."""
        return {"Count": 1.0, "Milliseconds": 0.001, "Percent": 0.01}[self.unit]


API_LATENCY = Instrument(
    "APILatency", "values", "Milliseconds", "How long requests took.", "Route", LATENCIES
)
REQUEST_COUNT = Instrument("RequestCount", "counter", "Count", "Requests answered.", "Route")
ERROR_RATE = Instrument(
    "ErrorRate", "values", "Percent", "100 for a request that failed with 5xx, else 0.", "Route"
)
JOINS = Instrument("Joins", "counter", "Count", "Joins, by what came of them.", "Outcome")
SESSIONS_CREATED = Instrument("SessionsCreated", "counter", "Count", "Sessions created.")
SESSIONS_ENDED = Instrument(
    "SessionsEnded", "counter", "Count", "Sessions ended, by their last status.", "Status"
)
LIVE_SESSIONS = Instrument("LiveSessions", "gauge", "Count", "Sessions that have not ended.")
SEATED_PLAYERS = Instrument("SeatedPlayers", "gauge", "Count", "Players seated in them.")
CONFLICTS_RETRIED = Instrument(
    "ConflictsRetried", "counter", "Count", "Rounds done again since another process wrote."
)
GROUP_COMMIT_SIZE = Instrument(
    "GroupCommitSize", "values", "Count", "Changes that shared a round.", buckets=SIZES
)
DATABASE_LATENCY = Instrument(
    "DatabaseLatency", "values", "Milliseconds", "How long commands took.", "Command", LATENCIES
)
DATABASE_CONNECTIONS = Instrument(
    "DatabaseConnections", "gauge", "Count", "Connections to the database."
)
DATABASE_CONNECTIONS_IN_USE = Instrument(
    "DatabaseConnectionsInUse", "gauge", "Count", "Those of them that are in use."
)
LOG_RECORDS_DROPPED = Instrument(
    "LogRecordsDropped", "counter", "Count", "Log records that were given up."
)

INSTRUMENTS = tuple(value for value in vars().values() if isinstance(value, Instrument))

Key = tuple[Instrument, str]
"""An instrument and the value of its dimension ("" where it has none)."""


@dataclass
class Distribution:
    """How many values fell below each bucket's bound, and what they sum up to."""

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
    """What was recorded since the last report."""

    counts: dict[Key, int] = field(default_factory=lambda: defaultdict(int))
    values: dict[Key, list[float]] = field(default_factory=lambda: defaultdict(list))


class Metrics(Collector):
    """Records; any thread may. `documents` and `collect` are its two readers."""

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
            self._pending.values[instrument, label].append(value)

    def set(self, instrument: Instrument, value: float) -> None:
        with self._lock:
            self._gauges[instrument, ""] = value

    def add(self, instrument: Instrument, change: int) -> None:
        """Change a gauge."""
        with self._lock:
            self._gauges[instrument, ""] += change

    def request(self, route: str, milliseconds: float, failed: bool) -> None:
        """An answered request, by its route's template."""
        with self._lock:
            self._pending.counts[REQUEST_COUNT, route] += 1
            self._pending.values[API_LATENCY, route].append(milliseconds)
            self._pending.values[ERROR_RATE, route].append(100 if failed else 0)

    def documents(self) -> list[str]:
        """What is pending, as Embedded Metric Format documents; it is part of the totals now."""
        with self._lock:
            pending, self._pending = self._pending, Pending()
            gauges = dict(self._gauges)
            for key, amount in pending.counts.items():
                self._counts[key] += amount
            for key, values in pending.values.items():
                self._distribution(self._distributions, key).add(key[0], values)
        now = int(time.time() * 1000)
        return [json.dumps(document) for document in embedded(pending, gauges, now)]

    def collect(self) -> Iterator[Metric]:
        """Everything since the start, in Prometheus' terms."""
        with self._lock:
            counts = {
                key: self._counts[key] + self._pending.counts.get(key, 0)
                for key in {*self._counts, *self._pending.counts}
            }
            distributions: dict[Key, Distribution] = {}
            for key in {*self._distributions, *self._pending.values}:
                whole = self._distribution(distributions, key)
                if (total := self._distributions.get(key)) is not None:
                    whole.buckets[:], whole.count, whole.sum = total.buckets, total.count, total.sum
                whole.add(key[0], self._pending.values.get(key, []))
            gauges = dict(self._gauges)
        for instrument in INSTRUMENTS:
            yield family(instrument, counts, distributions, gauges)

    @staticmethod
    def _distribution(where: dict[Key, Distribution], key: Key) -> Distribution:
        if key not in where:
            where[key] = Distribution([0] * (len(key[0].buckets) + 1))
        return where[key]


def embedded(pending: Pending, gauges: Mapping[Key, float], now: int) -> Iterator[dict[str, Any]]:
    """Embedded Metric Format documents: metrics that share a dimension's value share documents.

    Each is counted with and without its dimension. `now` is in milliseconds since 1970.
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
    """An instrument's state as a Prometheus metric family."""
    name, scale = instrument.prometheus_name, instrument.scale
    labels = [instrument.dimension.lower()] if instrument.dimension else []

    def values_of(label: str) -> list[str]:
        return [label] if labels else []

    if instrument.kind == "counter":
        counter = CounterMetricFamily(name, instrument.help, labels=labels)
        for (of, label), count in counts.items():
            if of is instrument:
                counter.add_metric(values_of(label), count)
        return counter
    if instrument.kind == "gauge":
        gauge = GaugeMetricFamily(name, instrument.help, labels=labels)
        gauge.add_metric([], gauges.get((instrument, ""), 0.0))
        return gauge
    summary = SummaryMetricFamily(name, instrument.help, labels=labels)
    histogram = HistogramMetricFamily(name, instrument.help, labels=labels)
    bounds = [str(float(round(b * scale, 6))) for b in instrument.buckets] + ["+Inf"]
    for (of, label), whole in distributions.items():
        if of is instrument:
            running = [sum(whole.buckets[: n + 1]) for n in range(len(whole.buckets))]
            summary.add_metric(values_of(label), whole.count, whole.sum * scale)
            histogram.add_metric(
                values_of(label), list(zip(bounds, running, strict=True)), whole.sum * scale
            )
    return histogram if instrument.buckets else summary
