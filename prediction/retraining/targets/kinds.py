"""Finds what a training learns beside the model, by the kind of target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from models_store.targets.classes import Classes
from models_store.targets.kinds import Target
from models_store.targets.quantity import Quantity
from prediction.retraining.out_of_fold import OutOfFold
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

    def calibrate(self, unseen: OutOfFold, held_out: Any, decision: Any) -> Calibrated:
        """Learn from the answers to the holdout, and from training rows answered out of fold.

        `decision` is the one that was chosen, if one was.
        """


PARTS: dict[str, TargetCalibration] = {Classes.kind: classes, Quantity.kind: quantity}


def of(target: Target) -> TargetCalibration:
    """Return the part of a target's kind."""
    return PARTS[target.kind]
