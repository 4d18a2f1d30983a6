"""The labels of the journal, read as examples to learn from and to judge by."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from models_store.errors import InvalidInput
from models_store.spec import Spec
from prediction.journal import feedback
from prediction.journal.database import Journal
from prediction.retraining.datasets import Example


@dataclass
class Labels:
    """The labels of a model.

    Parameters
    ----------
    examples
        Labelled predictions that fit the spec.
    new
        How many of all labels were given after the champion was trained.
    others
        How many do not fit the spec: it had other features or classes when they were given.
    newest_us
        When the newest was given.
    """

    examples: list[Example]
    new: int
    others: int
    newest_us: int


def read(spec: Spec, journal: Journal, known_us: int = 0) -> Labels:
    """Read the labels of a model. Of each prediction only the features are kept: there may be a million.

    Parameters
    ----------
    known_us
        The time of the newest label that the champion was trained on.
    """
    found = Labels([], 0, 0, known_us)
    for chunk in feedback.outcomes(journal, spec.name):
        for item in chunk:
            found.new += item.labelled_us > known_us
            found.newest_us = max(found.newest_us, item.labelled_us)
            features, answered = item.prediction.read_features(), item.prediction
            if _fits(spec, features, item.label):
                example = Example(str(answered.prediction_id), features, item.label, answered.at_us)
                found.examples.append(example)
            else:
                found.others += 1
    return found


def _fits(spec: Spec, features: dict[str, Any], label: str) -> bool:
    with suppress(InvalidInput):
        spec.rows.object(features)
        return spec.target.knows(label)
    return False
