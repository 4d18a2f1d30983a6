"""The distribution of a number: its range, and a sample of its values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from models_store.features.integer import Integer
from models_store.features.number import Number
from prediction.figures import drift
from prediction.figures.drift import Drift

KEY = "sample"
SAMPLE_SIZE = 1000
"""Values kept. They are evenly spaced in rank, which keeps the quantiles."""


def profile(feature: Number | Integer, present: list[float]) -> dict[str, Any]:
    """Return `min`, `max` and `sample`, which is sorted."""
    ordered = sorted(present)
    return {
        "min": ordered[0] if ordered else None,
        "max": ordered[-1] if ordered else None,
        KEY: evenly_spaced(ordered, SAMPLE_SIZE),
    }


def evenly_spaced(ordered: list[float], size: int) -> list[float]:
    """Return at most `size` of some values, evenly spaced in rank."""
    if len(ordered) <= size:
        return ordered
    last = len(ordered) - 1
    return [ordered[round(step * last / (size - 1))] for step in range(size)]


def compare(feature: Number | Integer, seen: dict[str, Any], live: list[float], rows: int) -> list[Drift]:
    """Compare distributions by the test of Kolmogorov and Smirnov."""
    return [drift.kolmogorov_smirnov(feature.name, rows, seen[KEY], live)]


def unlike(
    feature: Number | Integer, seen: dict[str, Any]
) -> Callable[[Sequence[Any]], list[tuple[int, str]]]:
    """Make the check of values outside of the range of the training data."""
    low = -math.inf if seen["min"] is None else seen["min"]
    high = math.inf if seen["max"] is None else seen["max"]

    def check(values: Sequence[Any]) -> list[tuple[int, str]]:
        found = []  # a loop, because a comprehension takes longer for one row
        for row, value in enumerate(values):
            if value is not None and not low <= value <= high:
                found.append((row, _words(value, low, high, feature.unit)))
        return found

    return check


def _words(value: float, low: float, high: float, unit: str) -> str:
    side = "below" if value < low else "above"
    return f"{value:g} is {side} the training range of {low:g} to {high:g} {unit}".rstrip()
