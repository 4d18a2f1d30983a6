"""Classes in monitoring: accuracy by labels, its estimate, and counts by class."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from models_store.errors import DamagedVersion, UnknownVersion
from models_store.spec import Spec
from models_store.targets.classes import Classes
from prediction.figures import calibration, deficit, scores
from prediction.figures.calibration import Calibration
from prediction.figures.targets import classes
from prediction.journal.feedback import Measure
from prediction.journal.rollups import Count, Total
from prediction.journal.samples import Sampled
from prediction.monitoring.targets import calibrations

GAUGES: Mapping[str, str] = {
    "prediction_accuracy_ratio": "Share of correct predictions among those with a label",
    "prediction_estimated_accuracy_ratio": "Accuracy estimated from the probabilities, without labels",
    "prediction_accuracy_below_estimate": "1 if labels are right less often than their probabilities"
    " promise, else 0",
}
"""The help text of each gauge."""


def measure(spec: Spec, home: Path) -> Measure:
    """Return the function that measures labelled predictions."""
    return calibrations.measure(home, spec.name)


def learned(spec: Spec, home: Path, version: str) -> Calibration:
    """Return the calibration of a version; the probabilities themselves if the version is gone."""
    try:
        return calibrations.of(home, spec.name, version)
    except (UnknownVersion, DamagedVersion):
        return calibration.NONE


def answered(sample: Sequence[Sampled]) -> list[Any]:
    """Return the answers of a sample, to compare them with those of the training."""
    return [row.predicted_class for row in sample if row.predicted_class]


def figures(
    target: Classes,
    counted: Sequence[Count],
    totals: Sequence[Total],
    sample: Sequence[Sampled],
    curve: Calibration,
) -> dict[str, Any]:
    """Return the figures of one version, as plain values."""
    by_class, confusion = Counter[str](), Counter[tuple[str, str]]()
    for count in counted:
        by_class[count.predicted_class] += count.rows
        if count.label:
            confusion[count.predicted_class, count.label] += count.rows
    total, scored = by_class.total(), scores.scores(confusion, target.texts)
    confidences = [row.confidence for row in sample if row.predicted_class]
    return {
        "classes": {
            name: {"predictions": by_class[name], "share": by_class[name] / total} for name in target.texts
        },
        "confidence": sum(confidences) / len(confidences) if confidences else None,
        "accuracy": asdict(scored.accuracy) if scored else None,
        **classes.monitored(target, by_class, confusion),
        "macro_f1": scored.macro_f1 if scored else None,
        "recall": {name: asdict(found) for name, found in scored.recall.items()} if scored else {},
        "confusion": {
            predicted: {label: confusion[predicted, label] for label in target.texts}
            for predicted in target.texts
        },
        "estimated_accuracy": _optional(calibration.expected_accuracy(*curve.of(confidences))),
        "calibration": {"method": curve.method, "rows": curve.rows},
        "against_estimate": _optional(_deficit(counted, totals)),
    }


def _deficit(counted: Sequence[Count], totals: Sequence[Total]) -> deficit.Deficit | None:
    """Compare the labelled rows with their estimate.

    Only hours, or minutes, count whose labels are all in the sums: labels that were given to an older
    release, or on a host without the version, are not.
    """
    labelled, right = _labelled(counted)
    sums: defaultdict[int, dict[str, int]] = defaultdict(dict)
    for total in totals:
        sums[total.at_us][total.name] = total.total
    whole = [at_us for at_us, rows in labelled.items() if sums[at_us].get(calibrations.ROWS) == rows]
    added = Counter[str]()
    for at_us in whole:
        added.update(sums[at_us])
    return deficit.judge(sum(right[at_us] for at_us in whole), calibrations.expected(added))


def _labelled(counted: Sequence[Count]) -> tuple[Counter[int], Counter[int]]:
    """Count the labelled rows by time, and those of them that are right."""
    labelled, right = Counter[int](), Counter[int]()
    for count in counted:
        if count.label:
            labelled[count.at_us] += count.rows
            right[count.at_us] += count.rows if count.label == count.predicted_class else 0
    return labelled, right


def over_time(
    bucket_us: int,
    counted: Sequence[Count],
    _totals: Sequence[Total],
    sample: Sequence[Sampled],
    curves: Mapping[str, Any],
) -> Callable[[int], dict[str, Any]]:
    """Return the function that gives the figures of the bucket that begins at a time."""
    labelled, right = _labelled(counted)
    estimates: defaultdict[int, list[tuple[float, float, float]]] = defaultdict(list)
    for row in sample:
        if not row.predicted_class:  # the target was of another kind
            continue
        curve = curves.get(row.version, calibration.NONE)
        estimates[row.at_us // bucket_us * bucket_us].append(curve.at(row.confidence))
    return lambda at_us: {
        "accuracy": _optional(scores.wilson(right[at_us], labelled[at_us])),
        "estimated_accuracy": _optional(_estimate(estimates[at_us])),
    }


def gauges(item: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the gauges of the figures of one version that have a value."""
    for key in ("accuracy", "estimated_accuracy"):
        if item[key] is not None:
            yield f"prediction_{key}_ratio", item[key]["value"]
    if item["against_estimate"] is not None:
        yield "prediction_accuracy_below_estimate", item["against_estimate"]["state"] == deficit.BELOW


def _estimate(found: list[tuple[float, float, float]]) -> scores.Proportion | None:
    p, low, high = np.array(found).reshape(-1, 3).T
    return calibration.expected_accuracy(p, low, high)


def _optional(found: scores.Proportion | deficit.Deficit | None) -> dict[str, Any] | None:
    return asdict(found) if found else None
