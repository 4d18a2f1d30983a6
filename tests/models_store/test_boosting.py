"""Trees as tables: the same answers, above all where a value meets a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from skl2onnx import to_onnx
from sklearn.datasets import make_classification
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from models_store import boosting

FEATURES = 6


def data(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Make rows with coarse values, so that many are equal, and their classes."""
    X, y = make_classification(
        600, FEATURES, n_informative=5, n_redundant=0, n_classes=classes, random_state=0, flip_y=0.1
    )
    return np.round(X, 1).astype(np.float32), y


def converted(estimator: Any, classes: int) -> onnx.ModelProto:
    """Fit an estimator and make its graph."""
    X, y = data(classes)
    return to_onnx(estimator.fit(X, y), X[:1], options={"zipmap": False})


def answers(model: onnx.ModelProto, X: np.ndarray) -> np.ndarray:
    """Return a graph's probabilities, shape (n, classes)."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(["probabilities"], {session.get_inputs()[0].name: X})
    return np.asarray(found)


def rows_on_thresholds(model: onnx.ModelProto) -> np.ndarray:
    """Make rows whose values are thresholds of the trees, or the floats next to them."""
    (node,) = [node for node in model.graph.node if node.op_type == "TreeEnsembleClassifier"]
    values = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    known = np.unique(np.array(values["nodes_values"], np.float32))
    draw = np.random.default_rng(0)
    on = draw.choice(known, (3000, FEATURES))
    aside = draw.choice(np.array([-np.inf, np.inf], np.float32), on.shape)
    return np.where(draw.random(on.shape) < 0.5, on, np.nextafter(on, aside)).astype(np.float32)


@pytest.mark.parametrize("classes", [2, 3, 4])
@pytest.mark.parametrize("depth", [1, 2])
def test_tables_answer_as_scikit_learn_does(depth: int, classes: int) -> None:
    """They agree on the training rows, and on rows on the thresholds and next to them."""
    estimator = GradientBoostingClassifier(n_estimators=40, max_depth=depth, random_state=0)
    trees = converted(estimator, classes)
    tables = boosting.tabulate(trees)
    assert tables is not None
    onnx.checker.check_model(tables)

    rows = np.concatenate([data(classes)[0], rows_on_thresholds(trees)])
    expected = estimator.predict_proba(rows)

    assert np.abs(answers(tables, rows) - expected).max() < 1e-6
    assert "TreeEnsembleClassifier" not in {node.op_type for node in tables.graph.node}


def test_a_missing_value_is_answered_as_by_the_trees() -> None:
    """A comparison of a missing value with a threshold is false in both."""
    trees = converted(GradientBoostingClassifier(n_estimators=20, max_depth=2, random_state=0), 3)
    tables = boosting.tabulate(trees)
    assert tables is not None
    X, _ = data(3)
    X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan

    np.testing.assert_allclose(answers(tables, X), answers(trees, X), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "estimator",
    [
        GradientBoostingClassifier(n_estimators=5, max_depth=4, random_state=0),
        RandomForestClassifier(5, random_state=0),
        LogisticRegression(),
    ],
)
def test_other_estimators_are_not_changed(estimator: Any) -> None:
    """Deeper trees use three features, forests take means, and others have no trees."""
    assert boosting.tabulate(converted(estimator, 3)) is None


def test_too_large_tables_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their memory has a limit."""
    monkeypatch.setattr(boosting, "MAX_CELLS", 100)

    estimator = GradientBoostingClassifier(n_estimators=40, max_depth=2, random_state=0)

    assert boosting.tabulate(converted(estimator, 3)) is None
