"""Finds the figures of a window that depend on the target, by its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from models_store.spec import Spec
from models_store.targets.classes import Classes
from models_store.targets.kinds import Target
from models_store.targets.quantity import Quantity
from prediction.journal.feedback import Measure
from prediction.journal.rollups import Count, Total
from prediction.journal.samples import Sampled
from prediction.monitoring.targets import classes, quantity


class TargetHealth(Protocol):
    """What each kind has on this floor. `learned` is what a version has learned of its own errors."""

    GAUGES: Mapping[str, str]

    def measure(self, spec: Spec, home: Path) -> Measure:
        """Return the function that measures labelled predictions, for the sums of the journal."""

    def learned(self, spec: Spec, home: Path, version: str) -> Any:
        """Return what a version has learned of its own errors."""

    def answered(self, sample: Sequence[Sampled]) -> list[Any]:
        """Return the answers of a sample, to compare them with those of the training."""

    def figures(
        self,
        target: Any,
        counted: Sequence[Count],
        totals: Sequence[Total],
        sample: Sequence[Sampled],
        learned: Any,
    ) -> dict[str, Any]:
        """Return the figures of one version, as plain values."""

    def over_time(
        self,
        bucket_us: int,
        counted: Sequence[Count],
        totals: Sequence[Total],
        sample: Sequence[Sampled],
        learned: Mapping[str, Any],
    ) -> Callable[[int], dict[str, Any]]:
        """Return the function that gives the figures of the bucket that begins at a time."""

    def gauges(self, item: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
        """Yield the gauges of the figures of one version that have a value."""


PARTS: dict[str, TargetHealth] = {Classes.kind: classes, Quantity.kind: quantity}


GAUGES = {name: text for part in PARTS.values() for name, text in part.GAUGES.items()}
"""The help text of each gauge that a kind has; all have the labels model and version."""


def of(target: Target) -> TargetHealth:
    """Return the part of a target's kind."""
    return PARTS[target.kind]
