"""Classes: how often an answer of a given confidence is right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models_store.spec import Spec
from prediction.figures.calibration import Calibration
from prediction.retraining import out_of_fold
from prediction.retraining.datasets import Dataset


@dataclass(frozen=True)
class Confidences:
    """The calibration of the probabilities."""

    calibration: Calibration
    graphs: Mapping[str, bytes] = field(default_factory=dict)

    def refine(self, decision: Any) -> Any:
        """Return the decision: it does not depend on the calibration."""
        return decision

    def profile(self) -> dict[str, Any]:
        """Return what the profile of the version holds of it."""
        return {"calibration": self.calibration.as_dict()}


def calibrate(spec: Spec, seed: int, dataset: Dataset, held_out: Any) -> Confidences:
    """Learn how often answers of a given confidence are right."""
    return Confidences(out_of_fold.calibrate(spec, seed, dataset, held_out))
