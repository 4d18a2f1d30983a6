"""The metrics that a scrape reads from the journal. Workers only count events.

A gauge that several processes set becomes stale when one of them ends.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from models_store.spec import Spec
from prediction import errors
from prediction.errors import JournalUnavailable
from prediction.journal import feedback, ledger, runs, workers
from prediction.journal.database import Journal
from prediction.journal.threads import Threads
from prediction.monitoring import health
from prediction.monitoring.targets import kinds
from prediction.times import now_us

CACHE_SECONDS = 10.0
PATIENCE_SECONDS = 5.0
"""Timeout of a scrape for the journal; the timeout of Prometheus is 10 s."""

WINDOW = "24h"

GAUGES: dict[str, tuple[str, list[str]]] = {
    "prediction_journal_up": ("1 if the journal answered this scrape, else 0", []),
    "prediction_broken_specs": ("Files of the catalog that describe no model", []),
    "prediction_champion_info": ("1 for the version that is the champion", ["model", "version"]),
    "prediction_champion_age_seconds": ("Seconds since the promotion of the champion", ["model"]),
    "prediction_serving_workers": (
        "Workers that reported lately, by the version they serve",
        ["model", "version"],
    ),
    "prediction_disagreeing_workers": (
        "Workers that reported lately and do not serve the champion",
        ["model"],
    ),
    "prediction_outcomes": (f"Predictions of the last {WINDOW} with a label", ["model", "version"]),
    "prediction_labels_outstanding": (
        f"Predictions of the last {WINDOW} without a label",
        ["model", "version"],
    ),
    "prediction_unlabelled_age_seconds": (
        "Seconds since the first prediction after the newest label; 0 if there is none",
        ["model"],
    ),
    "prediction_feature_drifted": (
        f"1 if the last {WINDOW} are unlike the training data, else 0; absent with too few rows",
        ["model", "version", "feature"],
    ),
    "prediction_drift_p_value": (
        f"How probable such a difference of the last {WINDOW} is by chance; drift needs less than 0.05",
        ["model", "version", "feature"],
    ),
    "prediction_drift_psi_lower_bound": (
        f"The stability index of the last {WINDOW} is at least this; drift needs 0.1 or more",
        ["model", "version", "feature"],
    ),
    "prediction_runs": ("Retrainings in the journal", ["model", "status"]),
    **{
        name: (f"{text}; of the last {WINDOW}", ["model", "version"]) for name, text in kinds.GAUGES.items()
    },
}
"""The help text and the labels of each gauge."""

DOWN = (
    "# TYPE prediction_journal_up gauge\nprediction_journal_up 0.0\n"
    "# TYPE prediction_broken_specs gauge\nprediction_broken_specs {}\n"
)

_log = logging.getLogger("bentoml.prediction")


@dataclass(eq=False)
class Gauges(Collector):
    """Reads all gauges, at most once in `CACHE_SECONDS`.

    Parameters
    ----------
    broken_specs
        How many files of the catalog describe no model.
    """

    specs: dict[str, Spec]
    home: Path
    journal: Journal
    broken_specs: int = 0
    _text: str = field(default="", init=False)
    _until: float = field(default=0.0, init=False)
    _thread: Threads = field(default_factory=lambda: Threads(1), init=False)

    def text(self) -> str:
        """Return the exposition; if the journal does not answer, without what is read from it."""
        try:
            if self.journal.fault is None:
                return self._thread.call(PATIENCE_SECONDS, self._fresh)
        except JournalUnavailable:
            pass
        return DOWN.format(float(self.broken_specs))

    def _fresh(self) -> str:
        if time.monotonic() >= self._until:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(self)
            self._text = generate_latest(registry).decode()
            self._until = time.monotonic() + CACHE_SECONDS
        return self._text

    def describe(self) -> list[GaugeMetricFamily]:
        """Describe nothing, so that the registry does not read the journal twice."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read every gauge."""
        families = {
            name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in GAUGES.items()
        }
        families["prediction_broken_specs"].add_metric([], self.broken_specs)
        is_up = True
        try:
            for spec in self.specs.values():
                for name, labels, value in self._read(spec):
                    families[name].add_metric(list(labels), value)
        except JournalUnavailable as error:
            _log.warning("the journal does not answer, so its metrics are missing: %s", errors.cause(error))
            is_up = False
        families["prediction_journal_up"].add_metric([], float(is_up))
        yield from families.values()

    def _read(self, spec: Spec) -> Iterator[tuple[str, Iterable[str], float]]:
        name, now = spec.name, now_us()
        champion = ledger.champion(self.journal, name)
        reports = workers.alive(self.journal, name)
        if champion is not None:
            yield "prediction_champion_info", (name, champion.to_version), 1
            yield "prediction_champion_age_seconds", (name,), (now - champion.at_us) / 1e6
            disagreeing = workers.disagreeing(reports, champion.to_version)
            yield "prediction_disagreeing_workers", (name,), len(disagreeing)
        for version, number in Counter(report.version for report in reports).items():
            yield "prediction_serving_workers", (name, version or "none"), number
        waiting_us = feedback.waiting_since_us(self.journal, name)
        yield "prediction_unlabelled_age_seconds", (name,), (now - (waiting_us or now)) / 1e6
        by_status = runs.count(self.journal, name)
        for status in runs.STATUSES:
            yield "prediction_runs", (name, status), by_status[status]
        found = health.describe(spec, self.home, self.journal, health.window(WINDOW))
        for item in found["versions"]:
            yield from _of_version(spec, item)


def _of_version(spec: Spec, item: dict[str, Any]) -> Iterator[tuple[str, Iterable[str], float]]:
    labels = (spec.name, item["version"])
    yield "prediction_outcomes", labels, item["outcomes"]
    yield "prediction_labels_outstanding", labels, item["labels_outstanding"]
    for gauge, value in kinds.of(spec.target).gauges(item):
        yield gauge, labels, value
    for found in item["drift"] or []:
        if found["state"] != "not enough data":
            of_feature = (*labels, found["name"])
            yield "prediction_feature_drifted", of_feature, found["state"] == "drifted"
            yield "prediction_drift_p_value", of_feature, found["p"]
            yield "prediction_drift_psi_lower_bound", of_feature, found["psi_low"]
