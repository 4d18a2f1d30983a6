"""Finds what a training learns beside the model, by the kind of target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from models_store.spec import Spec
from models_store.targets.classes import Classes
from models_store.targets.kinds import Target
from models_store.targets.quantity import Quantity
from prediction.retraining.datasets import Dataset
from prediction.retraining.targets import classes, quantity


class Calibrated(Protocol):
    """What was learned from answers to rows that their model had not seen."""

    @property
    def graphs(self) -> Mapping[str, bytes]:
        """The graphs beside the model's, by the names of their files."""

    def refine(self, decision: Any) -> Any:
        """Add to the decision of a graph or a pipeline what was learned."""

    def profile(self) -> dict[str, Any]:
        """Return what the profile of the version holds of it."""


class TargetCalibration(Protocol):
    """What each kind has on this floor."""

    def calibrate(self, spec: Spec, seed: int, dataset: Dataset, held_out: Any) -> Calibrated:
        """Learn from the answers to the holdout, and from training rows answered out of fold."""


PARTS: dict[str, TargetCalibration] = {Classes.kind: classes, Quantity.kind: quantity}


def of(target: Target) -> TargetCalibration:
    """Return the part of a target's kind."""
    return PARTS[target.kind]
