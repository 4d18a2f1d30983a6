"""Metrics: names and labels that stay few whatever clients send."""

from __future__ import annotations

import re

import pytest
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from prediction import metrics
from tests.servers import PROJECT

METRICS = {name: item for name, item in vars(metrics).items() if isinstance(item, MetricWrapperBase)}
BOUNDED_LABELS = {
    "model",
    "version",
    "predicted_class",
    "route",
    "reason",
    "feature",
    "status",
    "task",
    "fault",
    "result",
}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_named_after_the_service_and_explained(name: str) -> None:
    """Every metric begins with `prediction_` and says in words what it counts."""
    (family,) = METRICS[name].describe()

    assert family.name.startswith("prediction_")
    assert len(family.documentation.split()) >= 3


@pytest.mark.parametrize("name", METRICS)
def test_a_label_is_never_something_a_client_chose(name: str) -> None:
    """Labels come from the catalog, from the routes or from the code: no ids, no paths."""
    assert set() == set(METRICS[name]._labelnames) - BOUNDED_LABELS


def test_workers_count_events_only() -> None:
    """Gauges of several processes go stale, so there are counters and histograms only."""
    assert {Counter, Histogram} == {type(item) for item in METRICS.values()}


def test_every_metric_is_counted_somewhere() -> None:
    """A metric that nothing counts would be a promise on the dashboard and no more."""
    source = "\n".join(path.read_text() for path in (PROJECT / "prediction").rglob("*.py"))

    assert [] == [name for name in METRICS if not re.search(rf"\bmetrics\.{name}\b", source)]
