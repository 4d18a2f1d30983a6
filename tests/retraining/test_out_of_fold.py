"""Predictions of rows that were not trained on: folds, weights, and pipelines that need more rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from models_store import pipelines
from models_store.spec import Spec
from prediction.figures import calibration
from prediction.figures.calibration import Calibration
from prediction.retraining import datasets, out_of_fold
from prediction.retraining.datasets import Dataset
from tests.leaves import leaves, spec_of


def spec_with(estimator: Any, rows: int = 160) -> Spec:
    """Make a spec of leaves with an estimator on their lengths."""
    length = ColumnTransformer([("length", SimpleImputer(), ["length_cm"])])
    return replace(spec_of(leaves(rows)), pipeline=lambda _: make_pipeline(length, clone(estimator)))


def calibrated(spec: Spec, dataset: Dataset, held_out: int | None = None) -> Calibration:
    """Train, and calibrate as training does."""
    columns, labels = dataset.part(dataset.training)
    pipeline = pipelines.fit(spec, 0, columns, labels, dataset.weights)
    columns, labels = dataset.part(dataset.holdout)
    found = pipelines.probabilities(pipeline, spec, columns)
    repeat = 1 if held_out is None else -(-held_out // len(labels))
    part = out_of_fold.Unseen(labels * repeat, np.tile(found, (repeat, 1)), [1.0] * len(labels) * repeat)
    return out_of_fold.calibrate(spec, 0, dataset, part)


def test_a_model_that_knows_its_training_rows_is_not_believed() -> None:
    """A full tree is right on all of them; its calibration is learned from rows that it has not seen."""
    spec = spec_with(DecisionTreeClassifier(random_state=0))
    rng = np.random.default_rng(0)
    dataset = datasets.load(spec)
    names = list(spec.target.texts)
    noisy = [str(rng.choice(names)) if rng.random() < 0.4 else label for label in dataset.labels]
    curve = calibrated(spec, replace(dataset, labels=noisy))

    assert curve.rows == len(noisy)
    assert curve.at(1.0)[0] < 0.85


def test_folds_are_even_in_each_class() -> None:
    """Each row is in one of them, and the same seed gives the same."""
    spec = spec_of(leaves(160))
    dataset = datasets.load(spec)
    folds = out_of_fold._folds(dataset, 3)
    labels = [dataset.labels[row] for row in dataset.training]
    sizes = Counter(zip(labels, folds.tolist(), strict=True))

    assert folds.tolist() == out_of_fold._folds(dataset, 3).tolist()
    assert len(dataset.training) == len(folds)
    for name in set(labels):
        of_class = [sizes[name, fold] for fold in range(out_of_fold.FOLDS)]
        assert max(of_class) - min(of_class) <= 1


def test_a_large_holdout_is_enough() -> None:
    """Then nothing is fitted again."""
    spec = spec_with(LogisticRegression())
    dataset = datasets.load(spec)
    held_out = len(dataset.holdout) * -(-calibration.ISOTONIC_ROWS // len(dataset.holdout))

    assert held_out == calibrated(spec, dataset, calibration.ISOTONIC_ROWS).rows


def test_a_pipeline_that_can_t_be_fitted_on_fewer_rows_is_calibrated_on_the_holdout() -> None:
    """It splits its rows itself, and one class has just enough of them."""
    spec = spec_with(CalibratedClassifierCV(LogisticRegression(), cv=5))
    dataset = datasets.load(spec)
    rare = spec.target.texts[0]
    of_class = [row for row in dataset.training if dataset.labels[row] == rare]
    training = [row for row in dataset.training if row not in of_class[5:]]
    fewer = replace(dataset, training=training, weights=[1.0] * len(training))
    curve = calibrated(spec, fewer)

    assert curve.rows == len(dataset.holdout) or curve is calibration.NONE


def test_weights_of_feedback_stay_with_their_rows() -> None:
    """Rows of small weight count little."""
    spec = spec_with(LogisticRegression())
    dataset = datasets.load(spec)
    half = len(dataset.training) // 2
    labels = list(dataset.labels)
    for row in dataset.training[half:]:
        labels[row] = spec.target.texts[0]
    curves = [
        calibrated(
            spec,
            replace(dataset, labels=labels, weights=[1.0] * half + [w] * (len(dataset.training) - half)),
        )
        for w in (0.01, 1.0)
    ]

    assert curves[0].at(0.9)[0] > curves[1].at(0.9)[0]
