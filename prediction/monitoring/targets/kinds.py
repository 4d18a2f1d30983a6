"""Finds the figures of a window that depend on the target, by its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from models_store.targets.classes import Classes
from models_store.targets.kinds import Target
from prediction.figures.calibration import Calibration
from prediction.journal.rollups import Count, Total
from prediction.journal.samples import Sampled
from prediction.monitoring.targets import classes


class TargetHealth(Protocol):
    """What each kind has on this floor."""

    def figures(
        self,
        target: Any,
        counted: Sequence[Count],
        totals: Sequence[Total],
        sample: Sequence[Sampled],
        curve: Calibration,
    ) -> dict[str, Any]:
        """Return the figures of one version, as plain values."""

    def over_time(
        self,
        bucket_us: int,
        counted: Sequence[Count],
        sample: Sequence[Sampled],
        curves: Mapping[str, Calibration],
    ) -> Callable[[int], dict[str, Any]]:
        """Return the function that gives the figures of the bucket that begins at a time."""

    def gauges(self, item: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
        """Yield the gauges of the figures of one version that have a value."""


PARTS: dict[str, TargetHealth] = {Classes.kind: classes}


def of(target: Target) -> TargetHealth:
    """Return the part of a target's kind."""
    return PARTS[target.kind]
