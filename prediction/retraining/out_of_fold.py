"""Predictions of rows that their model was not trained on: what a calibration is learned from."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models_store import pipelines
from models_store.spec import Spec
from prediction.figures import calibration, scores
from prediction.figures.calibration import Calibration
from prediction.retraining.datasets import Dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5

_log = logging.getLogger("bentoml.prediction")


class Unseen(NamedTuple):
    """Rows with their labels, probabilities of shape (n, classes), and weights."""

    labels: list[str]
    probabilities: NDArray[np.float64]
    weights: list[float]


def calibrate(spec: Spec, seed: int, dataset: Dataset, held_out: Unseen) -> Calibration:
    """Learn how often predictions of a given confidence are right.

    The rows are those of the holdout, which the model has not seen, and the training rows: these are
    predicted by `FOLDS` pipelines, each fitted on the others. If the holdout alone is large enough,
    nothing is fitted again.
    """
    parts = [held_out]
    if len(held_out.labels) < calibration.ISOTONIC_ROWS:
        parts += _of_training(spec, seed, dataset)
    confidences: list[float] = []
    right: list[bool] = []
    weights: list[float] = []
    for part in parts:
        truth = scores.positions(np.array(part.labels, object), spec.target.texts)
        confidences += part.probabilities.max(axis=1).tolist()
        right += (part.probabilities.argmax(axis=1) == truth).tolist()
        weights += part.weights
    return calibration.learn(confidences, right, weights)


def _of_training(spec: Spec, seed: int, dataset: Dataset) -> Iterator[Unseen]:
    folds = _folds(dataset, seed)
    weights = np.array(dataset.weights)
    for fold in range(FOLDS):
        chosen, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        columns, labels = dataset.part([dataset.training[place] for place in others])
        try:
            pipeline = pipelines.fit(spec, seed, columns, labels, weights[others].tolist())
        except ValueError as error:  # a class may have too few rows for a pipeline that splits them again
            _log.info("%s: one of %d parts can't be calibrated on: %s", spec.name, FOLDS, error)
            continue
        if len(chosen) and pipeline.classes_.tolist() == list(spec.target.labels):
            columns, labels = dataset.part([dataset.training[place] for place in chosen])
            found = pipelines.probabilities(pipeline, spec, columns)
            yield Unseen(labels, found, weights[chosen].tolist())


def _folds(dataset: Dataset, seed: int) -> NDArray[np.intp]:
    """Return the fold of each training row: at random, and of each class about equally many in each."""
    rng, folds = np.random.default_rng(seed), np.zeros(len(dataset.training), np.intp)
    labels = np.array([dataset.labels[row] for row in dataset.training], object)
    for label in sorted(set(labels.tolist())):
        places = rng.permutation(np.flatnonzero(labels == label))
        folds[places] = np.arange(len(places)) % FOLDS
    return folds
