"""Trees as tables: the same answers, above all where a value meets a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from models_store.graphs import converter, tables

FEATURES = 6


def data(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Make rows with coarse values, so that many are equal, and their classes."""
    X, y = make_classification(
        600, FEATURES, n_informative=5, n_redundant=0, n_classes=classes, random_state=0, flip_y=0.1
    )
    return np.round(X, 1).astype(np.float32), y


def converted(estimator: Any, classes: int) -> onnx.ModelProto:
    """Fit an estimator and make its graph."""
    return converter.convert(estimator.fit(*data(classes)), [("rows", DoubleTensorType([None, FEATURES]))])


def answers(model: onnx.ModelProto, X: np.ndarray) -> np.ndarray:
    """Return a graph's probabilities, shape (n, classes)."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(["probabilities"], {"rows": X.astype(np.float64)})
    return np.asarray(found)


def rows_on_thresholds(model: onnx.ModelProto) -> np.ndarray:
    """Make rows whose values are thresholds of the trees, or the floats of 32 or 64 bits next to them."""
    (node,) = [node for node in model.graph.node if node.op_type == "TreeEnsemble"]
    (splits,) = [item.t for item in node.attribute if item.name == "nodes_splits"]
    known = np.unique(onnx.numpy_helper.to_array(splits))
    draw = np.random.default_rng(0)
    on = draw.choice(known, (3000, FEATURES))
    aside = draw.choice(np.array([-np.inf, np.inf]), on.shape)
    near = np.where(
        draw.random(on.shape) < 0.5,
        np.nextafter(on, aside),
        np.nextafter(on.astype(np.float32), aside.astype(np.float32)),
    )
    return np.where(draw.random(on.shape) < 0.3, on, near)


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("depth", [1, 2])
def test_tables_answer_as_scikit_learn_does(depth: int, classes: int) -> None:
    """They agree on the training rows, and on rows on the thresholds and next to them."""
    estimator = GradientBoostingClassifier(n_estimators=40, max_depth=depth, random_state=0)
    trees = converted(estimator, classes)
    found = tables.tabulate(trees)
    assert found is not None
    onnx.checker.check_model(found)

    rows = np.concatenate([data(classes)[0], rows_on_thresholds(trees)])
    expected = estimator.predict_proba(rows)

    assert np.abs(answers(found, rows) - expected).max() < 1e-14
    assert "TreeEnsemble" not in {node.op_type for node in found.graph.node}


def test_a_missing_value_is_answered_as_by_the_trees() -> None:
    """A comparison of a missing value with a threshold is false in both."""
    trees = converted(GradientBoostingClassifier(n_estimators=20, max_depth=2, random_state=0), 3)
    found = tables.tabulate(trees)
    assert found is not None
    X, _ = data(3)
    X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan

    np.testing.assert_allclose(answers(found, X), answers(trees, X), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "estimator",
    [
        GradientBoostingClassifier(n_estimators=5, max_depth=4, random_state=0),
        RandomForestClassifier(5, random_state=0),
        LogisticRegression(),
    ],
)
def test_other_estimators_are_not_changed(estimator: Any) -> None:
    """Deeper trees use three features, and others have no trees."""
    assert tables.tabulate(converted(estimator, 3)) is None


def test_too_large_tables_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their memory has a limit."""
    monkeypatch.setattr(tables, "MAX_CELLS", 100)

    estimator = GradientBoostingClassifier(n_estimators=40, max_depth=2, random_state=0)

    assert tables.tabulate(converted(estimator, 3)) is None
