"""Estimators that learn only whole numbers, behind the labels of a target."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from models_store.targets.estimators import last_step
from models_store.targets.numbered import Numbered, numbered

NAMES = ("setosa", "versicolor", "virginica")


def test_it_answers_with_labels() -> None:
    """The estimator inside has learned their positions, also with weights, and after a copy."""
    X, y = load_iris(return_X_y=True)
    labels, weight = np.array(NAMES)[y], np.linspace(0.1, 1, len(y))
    found = clone(Numbered(LogisticRegression(max_iter=1000), NAMES)).fit(X, labels, sample_weight=weight)
    alone = LogisticRegression(max_iter=1000).fit(X, y, sample_weight=weight)

    assert [0, 1, 2] == found.estimator.classes_.tolist()
    assert list(NAMES) == found.classes_.tolist()
    assert is_classifier(found)
    np.testing.assert_array_equal(found.predict(X), np.array(NAMES)[alone.predict(X)])
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.predict_proba(X), alone.predict_proba(X))


def test_it_has_no_classes_before_its_fit() -> None:
    """As estimators of scikit-learn have none."""
    assert not hasattr(Numbered(LogisticRegression(), NAMES), "classes_")


def test_other_estimators_stay_as_they_are() -> None:
    """Those of scikit-learn learn any label."""
    pipeline = make_pipeline(StandardScaler(), LogisticRegression())

    assert pipeline is numbered(pipeline, NAMES)


def test_xgboost_learns_texts() -> None:
    """Alone or as the last step; whole numbers from 0 on need no help."""
    estimator = pytest.importorskip("xgboost").XGBClassifier(n_estimators=2, n_jobs=1)
    X, y = load_iris(return_X_y=True)
    for pipeline in (estimator, make_pipeline(StandardScaler(), estimator)):
        fitted = numbered(pipeline, NAMES).fit(X, np.array(NAMES)[y])
        assert set(NAMES) == set(fitted.predict(X))
        assert list(NAMES) == fitted.classes_.tolist()
        assert isinstance(last_step(fitted), type(estimator))

    assert estimator is numbered(estimator, [0, 1, 2])
