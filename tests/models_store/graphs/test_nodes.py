"""Trees as nodes: the same answers, above all where a value meets a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from models_store.graphs import converter

FEATURES = 5


def data(classes: int) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Make rows and their classes, which are texts."""
    X, y = make_classification(
        300, FEATURES, n_informative=5, n_redundant=0, n_classes=classes, random_state=0
    )
    return X, np.array(["a", "b", "c"])[y]


def run(estimator: Any, X: NDArray[np.float64], outputs: list[str], *, single: bool = False) -> Any:
    """Convert an estimator, and ask its graph."""
    kind = FloatTensorType if single else DoubleTensorType
    model = converter.convert(estimator, [("rows", kind([None, FEATURES]))])
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(outputs, {"rows": X.astype(np.float32 if single else np.float64)})


def near(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values, and those one step of 32 or 64 bits below and above each."""
    narrow = values.astype(np.float32)
    ends = (np.float32(-np.inf), np.float32(np.inf))
    steps = [np.nextafter(values, end) for end in ends] + [np.nextafter(narrow, end) for end in ends]
    return np.concatenate([values, narrow, *steps]).astype(np.float64)


def on_thresholds(estimator: Any, X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make rows in which one value is on a threshold of that feature, or one step beside it."""
    trees = np.ravel([getattr(each, "tree_", each) for each in members(estimator)])
    rows = []
    for number, tree in enumerate(trees):
        nodes = getattr(tree, "nodes", None)
        features, splits = (
            (tree.feature, tree.threshold)
            if nodes is None
            else (
                np.where(nodes["is_leaf"], -1, nodes["feature_idx"].astype(int)),
                nodes["num_threshold"],
            )
        )
        for feature in range(FEATURES):
            on = near(splits[features == feature])
            copied = X[np.arange(number, number + len(on)) % len(X)].copy()
            copied[:, feature] = on
            rows.append(copied)
    return np.concatenate(rows)


def members(estimator: Any) -> Any:
    """Return the trees of an estimator."""
    if hasattr(estimator, "_predictors"):
        return np.ravel(np.array(estimator._predictors, object))
    return np.ravel(getattr(estimator, "estimators_", [estimator]))


CLASSIFIERS = [
    DecisionTreeClassifier(random_state=0),
    RandomForestClassifier(10, random_state=0),
    ExtraTreesClassifier(10, random_state=0),
    GradientBoostingClassifier(n_estimators=10, random_state=0),
    HistGradientBoostingClassifier(max_iter=10, random_state=0),
]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_both_agree_on_every_threshold_and_one_step_beside_it(estimator: Any, classes: int) -> None:
    """A step of 32 bits and one of 64 bits: the estimators read one of the two."""
    X, y = data(classes)
    rows = np.concatenate([X, on_thresholds(estimator.fit(X, y), X)])
    labels, found = run(estimator, rows, ["label", "probabilities"])

    np.testing.assert_allclose(found, estimator.predict_proba(rows), rtol=0, atol=1e-14)
    assert (labels != estimator.predict(rows)).mean() < 0.001  # ties


@pytest.mark.parametrize(
    "estimator",
    [RandomForestRegressor(10, random_state=0), HistGradientBoostingRegressor(max_iter=10, loss="poisson")],
)
def test_numbers_agree_on_every_threshold(estimator: Any) -> None:
    """Numbers are exact, also those of a logarithmic link."""
    X, _ = data(2)
    rows = np.concatenate([X, on_thresholds(estimator.fit(X, np.abs(X[:, 0]) + 1), X)])
    (found,) = run(estimator, rows, ["variable"])

    np.testing.assert_allclose(found.ravel(), estimator.predict(rows), rtol=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), RandomForestClassifier(10, random_state=0)),
        BaggingClassifier(n_estimators=5, random_state=0),
        AdaBoostClassifier(n_estimators=5, random_state=0),
    ],
    ids=["scaled", "bagging", "adaboost"],
)
def test_trees_inside_other_estimators_agree(estimator: Any, classes: int) -> None:
    """The figures before trees are float64, as scikit-learn's are."""
    X, y = data(classes)
    is_single = isinstance(estimator, AdaBoostClassifier)
    X = X.astype(np.float32).astype(np.float64)
    (found,) = run(estimator.fit(X, y), X, ["probabilities"], single=is_single)

    np.testing.assert_allclose(found, estimator.predict_proba(X), rtol=0, atol=1e-6)


def test_missing_values_go_where_the_training_sent_them() -> None:
    """To the left at some nodes, and to the right at others."""
    X, y = data(3)
    X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    for estimator in (
        RandomForestClassifier(5, random_state=0),
        HistGradientBoostingClassifier(max_iter=5),
    ):
        (found,) = run(estimator.fit(X, y), X, ["probabilities"])
        np.testing.assert_allclose(found, estimator.predict_proba(X), rtol=0, atol=1e-14)
