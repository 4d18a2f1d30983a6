"""Classes: how often an answer of a given confidence is right, and how often each class is answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from models_store.targets.classes import Classes
from prediction.figures import calibration
from prediction.figures.calibration import Calibration
from prediction.figures.targets import classes as figures
from prediction.retraining.out_of_fold import OutOfFold, Unseen


@dataclass(frozen=True)
class Confidences:
    """The calibration of the probabilities, and what was answered to rows that were not trained on.

    Parameters
    ----------
    answered
        How often each class was answered.
    confusion
        The same by label too, if the target names a positive class.
    """

    calibration: Calibration
    answered: dict[str, int]
    confusion: dict[str, dict[str, int]] | None = None
    graphs: Mapping[str, bytes] = field(default_factory=dict)

    def refine(self, decision: Any) -> Any:
        """Return the decision: it does not depend on the calibration."""
        return decision

    def profile(self) -> dict[str, Any]:
        """Return what the profile of the version holds of it."""
        more = {"confusion": self.confusion} if self.confusion else {}
        return {"answers": self.answered, "calibration": self.calibration.as_dict(), **more}


def calibrate(unseen: OutOfFold, held_out: Any, decision: Any) -> Confidences:
    """Learn how often answers of a given confidence are right, and count them."""
    target = cast(Classes, unseen.spec.target)
    found = seen(unseen, held_out, decision)
    confusion = confuse(target, found) if target.positive is not None else None
    return Confidences(learn(target, found), count(target, found), confusion)


def seen(unseen: OutOfFold, held_out: Any, decision: Any = None) -> list[Unseen]:
    """Return answers to the holdout, which the model has not seen, and to the training rows.

    If the holdout alone is large enough for a calibration, it is all, and nothing is fitted for it. So
    it is if rows of one group, or of a later time, would answer for others.

    Parameters
    ----------
    held_out
        The model's answers to the holdout.
    decision
        The decision that was chosen, if one was.
    """
    dataset, target = unseen.dataset, cast(Classes, unseen.spec.target)
    labels = dataset.part(dataset.holdout)[1]
    found = [Unseen(labels, held_out, np.ones(len(labels)))]
    if dataset.split.rule != "hash" or len(labels) >= calibration.ISOTONIC_ROWS:
        return found
    if decision is None:
        return found + unseen.parts
    return found + [part._replace(answers=target.decide(part.answers, decision)) for part in unseen.parts]


def learn(target: Classes, found: Sequence[Unseen]) -> Calibration:
    """Learn how often answers of a given confidence are right."""
    rows = [(*figures.sure(target, part.labels, part.answers), part.weights) for part in found]
    return calibration.learn(*(np.concatenate(each) for each in zip(*rows, strict=True)))


def count(target: Classes, found: Sequence[Unseen]) -> dict[str, int]:
    """Count answers: later ones are compared with them."""
    counts = Counter[str]()
    for part in found:
        counts.update(target.count(part.answers))
    return {name: counts[name] for name in target.texts}


def confuse(target: Classes, found: Sequence[Unseen]) -> dict[str, dict[str, int]]:
    """Count rows by answer and label."""
    names, counts = target.texts, Counter[tuple[str, str]]()
    for part in found:
        counts.update(zip((names[best] for best in part.answers.best), part.labels, strict=True))
    return {predicted: {label: counts[predicted, label] for label in names} for predicted in names}
