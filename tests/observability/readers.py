"""The metrics as their two readers get them: CloudWatch documents and Prometheus samples."""

import json
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from game_api.observability.metrics import Metrics
from tests.aws import check_document


def documents_of(metrics: Metrics) -> list[dict[str, Any]]:
    """The pending values as valid Embedded Metric Format documents."""
    documents = [json.loads(document) for document in metrics.take_documents()]
    for document in documents:
        check_document(document)
    return documents


def samples_of(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Every sample that Prometheus scrapes, by name and label value."""
    registry = CollectorRegistry()
    registry.register(metrics)
    text = generate_latest(registry).decode()
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "le" not in sample.labels
    }
