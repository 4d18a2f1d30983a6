"""Answers to rows that their model was not trained on. What is learned from them depends on the target."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models_store import pipelines
from models_store.errors import InvalidSpec
from models_store.spec import Spec
from prediction.retraining.datasets import Dataset

FOLDS = 5

_log = logging.getLogger("bentoml.prediction")


class Unseen(NamedTuple):
    """Training rows, and the answers of a pipeline that was fitted on the others.

    `rows` are their numbers in the dataset.
    """

    labels: list[str]
    answers: Any
    weights: NDArray[np.float64]
    rows: Sequence[int] = ()


@dataclass(frozen=True)
class OutOfFold:
    """Answers to training rows by `FOLDS` pipelines, each fitted on the rows of the other folds.

    Nothing is fitted before it is asked for, and nothing twice.

    Parameters
    ----------
    fits
        False for a model that was trained elsewhere: pipelines fitted here would say nothing about it, and
        there are no answers.
    """

    spec: Spec
    seed: int
    dataset: Dataset
    fits: bool = True

    @cached_property
    def parts(self) -> list[Unseen]:
        """The answers, in one part for each pipeline."""
        return list(_answer(self.spec, self.seed, self.dataset)) if self.fits else []

    def choose(self) -> Any:
        """Choose the decision of a target that asks for it."""
        labels = [label for part in self.parts for label in part.labels]
        weights = np.concatenate([np.zeros(0), *(part.weights for part in self.parts)])
        return self.spec.target.choose(labels, [part.answers for part in self.parts], weights)


def _answer(spec: Spec, seed: int, dataset: Dataset) -> Iterator[Unseen]:
    folds, weights = _folds(spec, dataset), np.array(dataset.weights)
    for fold in range(FOLDS):
        chosen, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if not len(chosen):
            continue
        columns, labels = dataset.part([dataset.training[place] for place in others])
        try:
            pipeline = pipelines.fit(spec, seed, columns, labels, weights[others].tolist())
            rows = [dataset.training[place] for place in chosen]
            columns, labels = dataset.part(rows)
            answers = pipelines.checked(pipeline, spec, columns, "training rows")
        except InvalidSpec as error:  # with fewer rows of a class, for example, a pipeline may not fit
            _log.info("one of %d parts can't answer its rows: %s", FOLDS, error)
            continue
        yield Unseen(labels, answers, weights[chosen], rows)


def _folds(spec: Spec, dataset: Dataset) -> NDArray[np.intp]:
    """Return the fold of each training row: a key is in one, and each fold has its share of a stratum."""
    _, labels = dataset.part(dataset.training)
    keys = [dataset.keys[row] for row in dataset.training]
    fold_of: dict[str, int] = {}
    place = 0
    for _, key in sorted(zip(spec.target.strata(labels), keys, strict=True)):
        if key not in fold_of:
            fold_of[key] = place % FOLDS
            place += 1
    return np.array([fold_of[key] for key in keys], np.intp)
