"""LightGBM and XGBoost, where they are installed: their graphs answer as they do, at every threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.datasets import make_classification

from models_store.graphs import boosters, converter
from models_store.targets.numbered import Numbered
from tests.models_store.graphs.test_nodes import near

FEATURES = 5


def data(classes: int, *, gaps: bool = False) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Make rows and their classes."""
    X, y = make_classification(
        300, FEATURES, n_informative=5, n_redundant=0, n_classes=classes, random_state=0
    )
    if gaps:
        X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    return X, np.array(["a", "b", "c"])[y]


def run(estimator: Any, X: NDArray[np.float64], output: str) -> Any:
    """Convert an estimator, and ask its graph."""
    model = converter.convert(estimator, [("rows", DoubleTensorType([None, FEATURES]))])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run([output], {"rows": X})[0]


def beside_thresholds(found: Any, X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows, and some in which a value is on a threshold of its feature or one step beside it."""
    rows = [X]
    for feature in range(FEATURES):
        values = near(found.trees.threshold[found.trees.feature == feature])
        values = values[np.isfinite(values)]
        copied = X[np.arange(len(values)) % len(X)].copy()
        copied[:, feature] = values
        rows.append(copied)
    return np.concatenate(rows)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_lightgbm_agrees_at_every_threshold(classes: int, gaps: bool) -> None:
    """It compares float64, and compares a missing value as 0 where the training had none."""
    lightgbm = pytest.importorskip("lightgbm")
    X, y = data(classes, gaps=gaps)
    estimator = lightgbm.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1).fit(X, y)
    rows = beside_thresholds(boosters.of_lightgbm(estimator), X)
    rows[::5, 0] = np.nan

    expected = estimator.booster_.predict(rows)
    expected = np.column_stack([1 - expected, expected]) if classes == 2 else expected
    np.testing.assert_allclose(run(estimator, rows, "probabilities"), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
def test_xgboost_agrees_at_every_threshold(classes: int, gaps: bool) -> None:
    """It reads float32, and goes left only below a threshold; it learns texts behind their numbers."""
    xgboost = pytest.importorskip("xgboost")
    X, y = data(classes, gaps=gaps)
    estimator = Numbered(xgboost.XGBClassifier(n_estimators=10, n_jobs=1), list("abc"[:classes])).fit(X, y)
    rows = beside_thresholds(boosters.of_xgboost(estimator.estimator), X)
    rows[::5, 0] = np.nan

    found = run(estimator, rows, "probabilities")
    np.testing.assert_allclose(found, estimator.predict_proba(rows), rtol=0, atol=1e-6)
    assert (run(estimator, rows, "label") == estimator.predict(rows)).mean() > 0.999


@pytest.mark.parametrize("objective", ["regression", "poisson"])
def test_lightgbm_of_a_number_agrees(objective: str) -> None:
    """Also with the link of counts."""
    lightgbm = pytest.importorskip("lightgbm")
    X, _ = data(2)
    estimator = lightgbm.LGBMRegressor(n_estimators=10, verbose=-1, n_jobs=1, objective=objective)
    estimator.fit(X, np.abs(X[:, 0]) + 1)

    found = run(estimator, X, "variable").ravel()
    np.testing.assert_allclose(found, estimator.booster_.predict(X), rtol=1e-12)


@pytest.mark.parametrize("objective", ["reg:squarederror", "count:poisson"])
def test_xgboost_of_a_number_agrees(objective: str) -> None:
    """Within float32, in which it adds."""
    xgboost = pytest.importorskip("xgboost")
    X, _ = data(2)
    estimator = xgboost.XGBRegressor(n_estimators=10, n_jobs=1, objective=objective)
    estimator.fit(X, np.abs(X[:, 0]) + 1)

    np.testing.assert_allclose(run(estimator, X, "variable").ravel(), estimator.predict(X), rtol=1e-5)


@pytest.mark.parametrize(
    "parameters",
    [
        {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"linear_tree": True},
        {"objective": lambda y, p: (p - y, np.ones_like(y))},
    ],
)
def test_it_says_what_it_does_not_read(parameters: dict[str, Any]) -> None:
    """The table of a training shows these words."""
    lightgbm = pytest.importorskip("lightgbm")
    estimator = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1, **parameters).fit(*data(2))

    with pytest.raises(NotImplementedError, match="LightGBM with"):
        boosters.of_lightgbm(estimator)
