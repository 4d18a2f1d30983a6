"""A quantity in monitoring: errors by labels, their estimate, and the coverage of intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from models_store import store
from models_store.errors import DamagedVersion, UnknownVersion
from models_store.spec import Spec
from models_store.targets.intervals import read_width
from models_store.targets.quantity import Quantity
from models_store.targets.said import adapted
from prediction.figures import adaptive, error_sums, excess
from prediction.figures.error_sums import ErrorSums, Mean
from prediction.figures.excess import Learned
from prediction.journal.feedback import Measure
from prediction.journal.rollups import Count, Total
from prediction.journal.samples import Sampled

GAUGES: Mapping[str, str] = {
    "prediction_mean_absolute_error": "Mean absolute error by labels, in the unit of the target",
    "prediction_estimated_mean_absolute_error": "The same estimated from the features, without labels",
    "prediction_bias": "Mean of true minus predicted, in the unit of the target",
    "prediction_r2": "Share of the variance of the labels that is explained",
    "prediction_coverage_ratio": "Share of the labels that lie in their intervals",
    "prediction_interval_adapted_ratio": "How many times as wide as calibrated intervals are",
    "prediction_error_above_estimate": "1 if errors by labels are larger than their estimate, else 0",
    "prediction_coverage_below_level": "1 if fewer labels lie in their intervals than stated, else 0",
}
"""The help text of each gauge."""


def measure(spec: Spec, _home: Path) -> Measure:
    """Return the function that measures labelled predictions; it needs no version."""
    target: Any = spec.target

    def measured(prediction: Any, label: str) -> dict[str, int]:
        truth, value, low, high = target.number(label), prediction.value, prediction.low, prediction.high
        if truth is None or value is None:  # it was answered when the target was of another kind
            return {}
        width = adapted(prediction.probabilities)
        held = adaptive.count(abs(truth - value), (high - low) / 2 / width)
        return error_sums.measure(truth, (value, low, high), target.span, width) | held

    return measured


@lru_cache(maxsize=1024)
def _read(home: Path, model: str, version: str) -> Learned | None:
    found = store.get(home, model, version)
    width = read_width(found.read_json(store.GOLDEN)["decision"])
    errors = found.read_json(store.PROFILE).get("errors", {})
    if not width.factor or errors.get("spread") is None:  # it knows nothing, or has made no error
        return None
    rows = errors.get("independent", errors["rows"])  # older versions do not count groups
    return Learned(width.level, width.factor, errors["spread"], rows)


def learned(spec: Spec, home: Path, version: str) -> Learned | None:
    """Return what a version knows of its errors; None if it is nothing, or the version is gone."""
    try:
        return _read(home, spec.name, version)
    except (UnknownVersion, DamagedVersion):
        return None


def answered(sample: Sequence[Sampled]) -> list[Any]:
    """Return the answers of a sample, to compare them with those of the training."""
    return [row.value for row in sample if row.value is not None]


def figures(
    target: Quantity,
    _counted: Sequence[Count],
    totals: Sequence[Total],
    sample: Sequence[Sampled],
    known: Learned | None,
) -> dict[str, Any]:
    """Return the figures of one version, as plain values."""
    pieces = list(_pieces(totals).values())
    found = error_sums.describe(pieces)
    values = answered(sample)
    return {
        "unit": target.unit,
        "level": known.level if known else target.level,
        "mean_prediction": sum(values) / len(values) if values else None,
        "mae": asdict(found.mae) if found else None,
        "bias": asdict(found.bias) if found else None,
        "rmse": found.rmse if found else None,
        "r2": found.r2 if found else None,
        "coverage": asdict(found.coverage) if found else None,
        "adapted": _mean_width(sample),
        "estimated_mae": _optional(_estimate(sample, known)),
        "calibration": {"rows": known.rows if known else 0},
        "against_estimate": _optional(excess.of_error(pieces, known) if known else None),
        "against_level": _optional(excess.of_coverage(pieces, known) if known else None),
    }


def _mean_width(sample: Sequence[Sampled]) -> float | None:
    """Return how many times as wide as calibrated the intervals are on average."""
    widths = [row.adapted for row in sample if row.value is not None]
    return sum(widths) / len(widths) if widths else None


def _pieces(totals: Sequence[Total]) -> dict[int, ErrorSums]:
    return error_sums.read_pieces((total.at_us, total.name, total.total) for total in totals)


def _estimate(sample: Sequence[Sampled], known: Learned | None) -> Mean | None:
    if known is None:
        return None
    ends = [(row.low, row.high, row.adapted) for row in sample if row.low is not None]
    low, high, width = np.array(ends, np.float64).reshape(-1, 3).T
    return error_sums.expected_error((high - low) / 2 / width / known.factor, known.spread, known.rows)


def over_time(
    bucket_us: int,
    _counted: Sequence[Count],
    totals: Sequence[Total],
    sample: Sequence[Sampled],
    known: Mapping[str, Any],
) -> Callable[[int], dict[str, Any]]:
    """Return the function that gives the figures of the bucket that begins at a time."""
    sums: defaultdict[int, list[ErrorSums]] = defaultdict(list)
    for version in {total.version for total in totals}:
        of_version = [total for total in totals if total.version == version]
        for at_us, piece in _pieces(of_version).items():
            sums[at_us].append(piece)
    rows: defaultdict[int, list[Sampled]] = defaultdict(list)
    for row in sample:
        rows[row.at_us // bucket_us * bucket_us].append(row)

    def of_bucket(at_us: int) -> dict[str, Any]:
        found = error_sums.describe(sums.get(at_us, []))
        return {
            "mae": asdict(found.mae) if found else None,
            "coverage": asdict(found.coverage) if found else None,
            "estimated_mae": _optional(_estimate_of_several(rows.get(at_us, []), known)),
        }

    return of_bucket


def _estimate_of_several(sample: Sequence[Sampled], known: Mapping[str, Any]) -> Mean | None:
    """Estimate the error of rows of several versions: the mean of the estimates of each."""
    by_version: defaultdict[str, list[Sampled]] = defaultdict(list)
    for row in sample:
        by_version[row.version].append(row)
    found = [
        each for name, rows in by_version.items() if (each := _estimate(rows, known.get(name))) is not None
    ]
    n = sum(each.n for each in found)
    if not n:
        return None
    value = sum(each.value * each.n for each in found) / n
    half = sum(((each.high - each.value) * each.n / n) ** 2 for each in found) ** 0.5
    return Mean(value, max(0.0, value - half), value + half, n)


def gauges(item: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the gauges of the figures of one version that have a value."""
    for key, name in (
        ("mae", "prediction_mean_absolute_error"),
        ("bias", "prediction_bias"),
        ("coverage", "prediction_coverage_ratio"),
        ("estimated_mae", "prediction_estimated_mean_absolute_error"),
    ):
        if item[key] is not None:
            yield name, item[key]["value"]
    for key, name in (("r2", "prediction_r2"), ("adapted", "prediction_interval_adapted_ratio")):
        if item[key] is not None:
            yield name, item[key]
    if item["against_estimate"] is not None:
        yield "prediction_error_above_estimate", item["against_estimate"]["state"] == excess.ABOVE
    if item["against_level"] is not None:
        yield "prediction_coverage_below_level", item["against_level"]["state"] == excess.UNCOVERED


def _optional(found: Any) -> dict[str, Any] | None:
    return asdict(found) if found else None
