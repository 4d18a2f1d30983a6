"""Answers to rows that their model was not trained on: what a calibration is learned from."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store import pipelines
from models_store.errors import InvalidSpec
from models_store.spec import Spec
from prediction.figures import calibration
from prediction.figures.calibration import Calibration
from prediction.figures.targets import kinds
from prediction.retraining import splits
from prediction.retraining.datasets import Dataset

FOLDS = 5

_log = logging.getLogger("bentoml.prediction")


def calibrate(spec: Spec, seed: int, dataset: Dataset, held_out: Any) -> Calibration:
    """Learn how often answers of a given confidence are right.

    The rows are those of the holdout, which the model has not seen, and the training rows: these are
    answered by `FOLDS` pipelines, each fitted on the others. If the holdout alone is large enough,
    nothing is fitted again. Nor is it if rows of one group, or of a later time, would answer for others.

    Parameters
    ----------
    held_out
        The model's answers to the holdout.
    """
    sure = kinds.of(spec.target).sure
    confidences, right = sure(spec.target, dataset.part(dataset.holdout)[1], held_out)
    found = [(confidences, right, np.ones(len(right)))]
    if dataset.split.rule == "hash" and len(right) < calibration.ISOTONIC_ROWS:
        for labels, answers, weights in _of_training(spec, seed, dataset):
            found.append((*sure(spec.target, labels, answers), weights))
    return calibration.learn(*(np.concatenate(each) for each in zip(*found, strict=True)))


def _of_training(
    spec: Spec, seed: int, dataset: Dataset
) -> Iterator[tuple[list[str], Any, NDArray[np.float64]]]:
    folds, weights = _folds(spec, dataset), np.array(dataset.weights)
    for fold in range(FOLDS):
        chosen, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if not len(chosen):
            continue
        columns, labels = dataset.part([dataset.training[place] for place in others])
        try:
            pipeline = pipelines.fit(spec, seed, columns, labels, weights[others].tolist())
            columns, labels = dataset.part([dataset.training[place] for place in chosen])
            answers = pipelines.checked(pipeline, spec, columns, "training rows")
        except InvalidSpec as error:  # with fewer rows of a class, for example, a pipeline may not fit
            _log.info("one of %d parts is no part of the calibration: %s", FOLDS, error)
            continue
        yield labels, answers, weights[chosen]


def _folds(spec: Spec, dataset: Dataset) -> NDArray[np.intp]:
    """Return the fold of each training row: equal rows are in one, and each has its share of a stratum."""
    columns, labels = dataset.part(dataset.training)
    hashes = splits.row_hashes(columns)
    fold_of: dict[str, int] = {}
    place = 0
    for _, row in sorted(zip(spec.target.strata(labels), hashes, strict=True)):
        if row not in fold_of:
            fold_of[row] = place % FOLDS
            place += 1
    return np.array([fold_of[row] for row in hashes], np.intp)
