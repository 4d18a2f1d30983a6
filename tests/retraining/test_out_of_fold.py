"""Predictions of rows that were not trained on: folds, weights, and pipelines that need more rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from models_store import pipelines
from models_store.spec import Spec
from models_store.targets.decisions import Decision
from prediction.figures import calibration
from prediction.figures.calibration import Calibration
from prediction.retraining import datasets, out_of_fold
from prediction.retraining.datasets import Dataset
from prediction.retraining.targets import classes
from tests.leaves import leaves, rows_of, spec_of


def spec_with(estimator: Any, rows: int = 160) -> Spec:
    """Make a spec of leaves with an estimator on their lengths."""
    length = ColumnTransformer([("length", SimpleImputer(), ["length_cm"])])
    return replace(spec_of(leaves(rows)), pipeline=lambda _: make_pipeline(length, clone(estimator)))


def calibrated(spec: Spec, dataset: Dataset) -> Calibration:
    """Train, and calibrate as training does."""
    columns, labels = dataset.part(dataset.training)
    pipeline = pipelines.fit(spec, 0, columns, labels, dataset.weights)
    answers = pipelines.checked(pipeline, spec, dataset.part(dataset.holdout)[0], "the holdout")
    target: Any = spec.target
    return classes.learn(target, classes.seen(out_of_fold.OutOfFold(spec, 0, dataset), answers))


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
    """Each row is in one of them, and equal rows are in the same."""
    spec = spec_of([row for row in [*leaves(160), *leaves(20)] if row[0] is not None])
    dataset = datasets.load(spec)
    folds = out_of_fold._folds(spec, dataset).tolist()
    rows = rows_of(dataset, dataset.training)
    fold_of = dict(zip(rows, folds, strict=True))
    sizes = Counter((kind, fold) for (_, _, kind), fold in fold_of.items())

    assert [fold_of[row] for row in rows] == folds
    for kind in spec.target.texts:
        of_class = [sizes[kind, fold] for fold in range(out_of_fold.FOLDS)]
        assert max(of_class) - min(of_class) <= 1


def test_a_large_holdout_is_enough() -> None:
    """Then nothing is fitted again: the model is right on rows that it has seen, and that is not asked."""
    spec = spec_with(LogisticRegression(), 4 * calibration.ISOTONIC_ROWS + 400)
    dataset = datasets.load(spec)
    curve = calibrated(spec, dataset)

    assert ("isotonic", len(dataset.holdout)) == (curve.method, curve.rows)


def test_rows_of_a_group_are_in_one_fold() -> None:
    """Otherwise a model that knows the group would answer for it."""
    spec = spec_of([(row // 4, edge, kind) for row, (_, edge, kind) in enumerate(leaves(240))])
    dataset = datasets.load(replace(spec, group="length_cm"))
    folds = out_of_fold._folds(spec, dataset).tolist()
    lengths = [dataset.columns["length_cm"][row] for row in dataset.training]

    assert len(set(zip(lengths, folds, strict=True))) == len(set(lengths)) > 2 * out_of_fold.FOLDS
    assert set(range(out_of_fold.FOLDS)) == set(folds)


def test_nothing_is_fitted_twice() -> None:
    """The choice of a threshold and the calibration share the answers."""
    fits = []

    class Counted(LogisticRegression):  # type: ignore[misc]
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
            fits.append(len(y))
            return super().fit(X, y, sample_weight)

    plain = spec_with(LogisticRegression())
    spec = replace(plain, pipeline=lambda _: make_pipeline(plain.pipeline(0)[0], Counted()))
    dataset = datasets.load(spec)
    found = out_of_fold.OutOfFold(spec, 0, dataset)
    assert [] == fits
    found.choose()
    seen = classes.seen(found, spec.target.reader(Decision())([np.full((len(dataset.holdout), 3), 1 / 3)]))  # type: ignore[arg-type]

    assert (out_of_fold.FOLDS, 1 + out_of_fold.FOLDS) == (len(fits), len(seen))
    target: Any = spec.target
    assert len(dataset.labels) == sum(classes.count(target, seen).values())


@pytest.mark.parametrize("rule", ["group", "time"])
def test_related_rows_do_not_answer_for_each_other(rule: Any) -> None:
    """Rows of one group, or of a later time, would make the model look better: the holdout is enough."""
    spec = spec_with(LogisticRegression())
    dataset = datasets.load(spec)
    curve = calibrated(spec, replace(dataset, split=replace(dataset.split, rule=rule)))

    assert len(dataset.holdout) == curve.rows


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
    """A model that always answers yew is wrong on rows of small weight, and these count little."""
    spec = spec_with(DummyClassifier(strategy="prior"))
    dataset = datasets.load(spec)
    labels = [
        "yew" if place % 2 else ("ash", "oak")[place % 4 // 2] for place in range(len(dataset.labels))
    ]
    found = {}
    for small in (0.01, 0.9):
        weights = [1.0 if labels[row] == "yew" else small for row in dataset.training]
        curve = calibrated(
            spec, replace(dataset, labels=labels, weights=weights, holdout=dataset.holdout[:4])
        )
        found[small] = curve.at(0.7)[0]

    assert found[0.01] > 0.9
    assert found[0.9] == pytest.approx(0.53, abs=0.05)
