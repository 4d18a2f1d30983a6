"""The part of each kind of feature in figures, found by its kind: profile, drift, and warnings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from models_store.features.feature import Feature
from prediction.figures.drift import Drift
from prediction.figures.features import category, flag, integer, moment, number, text

Check = Callable[[Sequence[Any]], list[tuple[int, str]]]
"""Returns the rows whose values are unlike the training data, each with a sentence about it."""


class FeatureFigures(Protocol):
    """What figures need to know of a kind. A module is a part."""

    KEY: str
    """The key of the profile that tells that the profile is one of this kind."""

    def profile(self, feature: Any, present: list[Any]) -> dict[str, Any]:
        """Summarise the values of training data that are not missing."""

    def compare(self, feature: Any, seen: dict[str, Any], live: list[Any], rows: int) -> list[Drift]:
        """Compare live values with a profile of so many values; they are not judged yet."""

    def unlike(self, feature: Any, seen: dict[str, Any]) -> Check:
        """Make the check of values that are possible but outside of a profile."""


PARTS: dict[str, FeatureFigures] = {
    "number": number,
    "integer": integer,
    "flag": flag,
    "category": category,
    "text": text,
    "moment": moment,
}


def of(feature: Feature) -> FeatureFigures:
    """Return the part of a feature's kind."""
    return PARTS[feature.kind]
