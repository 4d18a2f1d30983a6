"""What versions have learned of their own answers.

Also what a labelled prediction adds to the sums of the journal by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from models_store import store
from models_store.errors import DamagedVersion, UnknownVersion
from prediction.figures import calibration
from prediction.figures.calibration import Calibration
from prediction.figures.deficit import Expected
from prediction.journal.feedback import Measure

QUANTUM = 2**30
"""Sums are of whole numbers of 1 / QUANTUM, so that they do not depend on their order."""

ROWS, P, LOW, VARIANCE = "rows", "p*2^30", "p_low*2^30", "p(1-p)*2^30"
"""The names of the sums."""


@lru_cache(maxsize=1024)
def of(home: Path, model: str, version: str) -> Calibration:
    """Return the calibration of a version.

    Raises
    ------
    UnknownVersion, DamagedVersion
        When the store lacks the version, or its profile can't be read.
    """
    return calibration.read(store.get(home, model, version).read_json(store.PROFILE))


@lru_cache(maxsize=1024)
def confusion(home: Path, model: str, version: str) -> Mapping[str, Mapping[str, int]] | None:
    """Return how answers to rows that a version was not trained on compare with their labels.

    None if it has not counted them.

    Raises
    ------
    UnknownVersion, DamagedVersion
        As above.
    """
    found: Mapping[str, Mapping[str, int]] | None
    found = store.get(home, model, version).read_json(store.PROFILE).get("confusion")
    return found


def measure(home: Path, model: str) -> Measure:
    """Return the function that measures labelled predictions of a model."""

    def measured(prediction: Any, _label: str) -> dict[str, int]:
        if not prediction.predicted_class:  # the target was of another kind
            return {}
        try:
            curve = of(home, model, prediction.version)
        except (UnknownVersion, DamagedVersion):
            return {}  # this home has never had it, or no longer
        confidence = from_json(prediction.probabilities)[prediction.predicted_class]
        p, low, _ = curve.at(confidence)
        found = {P: p, LOW: low, VARIANCE: p * (1 - p)}
        return {ROWS: 1} | {name: round(value * QUANTUM) for name, value in found.items()}

    return measured


def expected(totals: dict[str, int]) -> Expected:
    """Return what the sums of labelled predictions say of them."""
    p, low, variance = (totals.get(name, 0) / QUANTUM for name in (P, LOW, VARIANCE))
    return Expected(totals.get(ROWS, 0), p, low, variance)
