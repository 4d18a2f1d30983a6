"""Classes: how often an answer of a given confidence is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prediction.figures.calibration import Calibration
from prediction.retraining import out_of_fold
from prediction.retraining.out_of_fold import OutOfFold


@dataclass(frozen=True)
class Confidences:
    """The calibration of the probabilities, and how often each class was answered."""

    calibration: Calibration
    answered: dict[str, int]
    graphs: Mapping[str, bytes] = field(default_factory=dict)

    def refine(self, decision: Any) -> Any:
        """Return the decision: it does not depend on the calibration."""
        return decision

    def profile(self) -> dict[str, Any]:
        """Return what the profile of the version holds of it."""
        return {"answers": self.answered, "calibration": self.calibration.as_dict()}


def calibrate(unseen: OutOfFold, held_out: Any, decision: Any) -> Confidences:
    """Learn how often answers of a given confidence are right, and count them."""
    seen = unseen.seen(held_out, decision)
    return Confidences(out_of_fold.calibrate(unseen.spec, seen), out_of_fold.count(unseen.spec, seen))
