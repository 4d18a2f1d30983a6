"""Finds the formulas of a target, by its kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from models_store.targets.classes import Classes
from models_store.targets.kinds import Target
from models_store.targets.quantity import Quantity
from prediction.figures.drift import Drift
from prediction.figures.gate import TargetRules
from prediction.figures.targets import classes, quantity


class TargetMetrics(Protocol):
    """The figures of answers on some rows."""

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""


class TargetFigures(Protocol):
    """What each kind has on this floor."""

    LOSS: str
    ADAPTS_BY: Sequence[str]

    def width(self, target: Any, sums: Iterable[Mapping[str, int]]) -> float:
        """Return how many times as wide as calibrated an interval shall be.

        Parameters
        ----------
        sums
            Those of each hour, by their names in `ADAPTS_BY`, in the order of the hours.
        """

    def metrics(self, target: Any, labels: Sequence[str], answers: Any) -> Any:
        """Compare labels, as canonical texts, with answers; return `TargetMetrics`."""

    def compare(self, profile: Mapping[str, Any], predicted: Sequence[Any]) -> Drift:
        """Compare live answers with those that the profile of a version holds."""

    def table(self, metrics: Mapping[str, Any]) -> dict[str, str]:
        """Return the figures of a training in words, for a table; `metrics` are plain values."""

    def rules(self, target: Any) -> TargetRules:
        """Return the rules of the gate."""


PARTS: dict[str, TargetFigures] = {Classes.kind: classes, Quantity.kind: quantity}


def of(target: Target) -> TargetFigures:
    """Return the part of a target's kind."""
    return PARTS[target.kind]
