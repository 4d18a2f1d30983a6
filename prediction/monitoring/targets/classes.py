"""Classes in monitoring: accuracy by labels, its estimate, and counts by class."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from models_store.errors import DamagedVersion, UnknownVersion
from models_store.spec import Spec
from models_store.targets.classes import Classes
from prediction.figures import calibration, changes, deficit, scores
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
    "prediction_labels_selective": "1 if predicted classes get labels unequally often, else 0",
    "prediction_precision_ratio": "Share of the predictions of the positive class that are right",
    "prediction_recall_ratio": "Share of the labels of the positive class that were predicted",
    "prediction_alert_ratio": "Share of all predictions that are of the positive class",
    "prediction_cost_per_row": "Mean cost of a row with a label, in the unit of the target's costs",
    "prediction_precision_below_training": "1 if the precision is lower than in training, else 0",
    "prediction_recall_below_training": "1 if the recall is lower than in training, else 0;"
    " absent if labels are selective",
    "prediction_alert_rate_unlike_training": "1 if the share of alerts is not that of the training, else 0",
    "prediction_cost_above_training": "1 if the mean cost is higher than in training, else 0;"
    " absent if labels are selective",
}
"""The help text of each gauge."""


def measure(spec: Spec, home: Path) -> Measure:
    """Return the function that measures labelled predictions."""
    return calibrations.measure(home, spec.name)


class ClassesLearned(NamedTuple):
    """What a version knows of its own answers: how sure they are, and how they compare with labels."""

    curve: Calibration = calibration.NONE
    confusion: Mapping[str, Mapping[str, int]] | None = None


def learned(spec: Spec, home: Path, version: str) -> ClassesLearned:
    """Return what a version knows of its own answers: nothing if the version is gone."""
    name = spec.name
    try:
        return ClassesLearned(
            calibrations.of(home, name, version), calibrations.confusion(home, name, version)
        )
    except (UnknownVersion, DamagedVersion):
        return ClassesLearned()


def answered(sample: Sequence[Sampled]) -> list[Any]:
    """Return the answers of a sample, to compare them with those of the training."""
    return [row.predicted_class for row in sample if row.predicted_class]


def figures(
    target: Classes,
    counted: Sequence[Count],
    totals: Sequence[Total],
    sample: Sequence[Sampled],
    known: ClassesLearned,
) -> dict[str, Any]:
    """Return the figures of one version, as plain values."""
    by_class, confusion = Counter[str](), Counter[tuple[str, str]]()
    for count in counted:
        by_class[count.predicted_class] += count.rows
        if count.label:
            confusion[count.predicted_class, count.label] += count.rows
    curve = known.curve
    total, scored = by_class.total(), scores.scores(confusion, target.texts)
    confidences = [row.confidence for row in sample if row.predicted_class]
    return {
        "classes": {
            name: {"predictions": by_class[name], "share": by_class[name] / total} for name in target.texts
        },
        "confidence": sum(confidences) / len(confidences) if confidences else None,
        "accuracy": asdict(scored.accuracy) if scored else None,
        **classes.monitored(target, by_class, confusion, known.confusion),
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
    known: Mapping[str, Any],
) -> Callable[[int], dict[str, Any]]:
    """Return the function that gives the figures of the bucket that begins at a time."""
    labelled, right = _labelled(counted)
    estimates: defaultdict[int, list[tuple[float, float, float]]] = defaultdict(list)
    for row in sample:
        if not row.predicted_class:  # the target was of another kind
            continue
        curve = known.get(row.version, ClassesLearned()).curve
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
    yield "prediction_labels_selective", item["labels_are_selective"]
    if item["positive"] is not None:
        yield from _of_positive(item["positive"])
    if item["cost"] is not None:
        yield "prediction_cost_per_row", item["cost"]["value"]
        yield from _state("prediction_cost_above_training", item["cost"]["state"], changes.ABOVE)


def _of_positive(found: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    states = found["states"] or {}
    for key in ("precision", "recall"):
        if found[key] is not None:
            yield f"prediction_{key}_ratio", found[key]["value"]
        yield from _state(f"prediction_{key}_below_training", states.get(key), changes.BELOW)
    if found["alert_rate"] is not None:
        yield "prediction_alert_ratio", found["alert_rate"]["value"]
    both = (changes.BELOW, changes.ABOVE)
    yield from _state("prediction_alert_rate_unlike_training", states.get("alert_rate"), *both)


def _state(gauge: str, state: str | None, *alarming: str) -> Iterator[tuple[str, float]]:
    """Yield whether a state is an alarm, if the figure was compared at all."""
    if state is not None and state != classes.SELECTIVE:
        yield gauge, state in alarming


def _estimate(found: list[tuple[float, float, float]]) -> scores.Proportion | None:
    p, low, high = np.array(found).reshape(-1, 3).T
    return calibration.expected_accuracy(p, low, high)


def _optional(found: scores.Proportion | deficit.Deficit | None) -> dict[str, Any] | None:
    return asdict(found) if found else None
