"""Trees as arrays: a walk through them says what the estimator says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import make_classification
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier

from models_store.graphs import trees
from models_store.graphs.trees import Ensemble


def data(classes: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Make rows and their classes."""
    X, y = make_classification(200, 5, n_informative=5, n_redundant=0, n_classes=classes, random_state=0)
    return X, y


def walked(ensemble: Ensemble, X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add up the leaves that rows reach, one by one."""
    known, found = ensemble.trees, np.tile(ensemble.base, (len(X), 1))
    for row, values in enumerate(X.astype(ensemble.reads).astype(np.float64)):
        for root in known.roots:
            place, is_leaf = root, False
            while not is_leaf:
                value = values[known.feature[place]]
                is_left = (
                    known.is_missing_left[place] if np.isnan(value) else value <= known.threshold[place]
                )
                sides = (known.left, known.is_leaf_left) if is_left else (known.right, known.is_leaf_right)
                place, is_leaf = sides[0][place], sides[1][place]
            found[row, known.target[place]] += known.weight[place]
    if ensemble.rows is not None:
        found = ensemble.rows[found.astype(int)].sum(axis=1)
    return found / ensemble.count


def test_a_tree_without_a_branch_is_its_leaf() -> None:
    """Both sides of its node lead to it, and the positions of the trees after it are right."""
    X, y = data(2)
    alone = DecisionTreeClassifier(max_depth=1, min_samples_leaf=150).fit(X, y)
    found = trees.joined([trees._of_sklearn(alone.tree_, np.array([3.0])) for _ in range(2)])

    assert [0, 1] == found.left.tolist() == found.right.tolist() == found.roots.tolist()
    assert [3.0, 3.0] == found.weight.tolist()
    assert found.is_leaf_left.all()
    assert found.is_leaf_right.all()


@pytest.mark.parametrize("classes", [2, 3])
def test_a_forest_is_the_mean_of_its_trees(classes: int) -> None:
    """Of two classes there is one sum; of more each leaf has a row."""
    X, y = data(classes)
    estimator = RandomForestClassifier(5, random_state=0).fit(X, y)
    found = walked(trees.forest(estimator), X)

    expected = estimator.predict_proba(X)
    np.testing.assert_allclose(found, expected[:, 1:] if classes == 2 else expected, rtol=0, atol=1e-15)


def test_a_forest_knows_where_missing_values_go() -> None:
    """They go where the training has sent them."""
    X, y = data(2)
    X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan
    estimator = RandomForestClassifier(5, random_state=0).fit(X, y)

    found = walked(trees.forest(estimator), X)
    np.testing.assert_allclose(found, estimator.predict_proba(X)[:, 1:], rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("estimator", "read"),
    [
        (RandomForestRegressor(5, random_state=0), trees.forest),
        (GradientBoostingRegressor(n_estimators=5, random_state=0), trees.gradient_boosting),
        (HistGradientBoostingRegressor(max_iter=5, random_state=0), trees.histogram_boosting),
    ],
)
def test_a_regressor_is_one_sum(estimator: Any, read: Any) -> None:
    """It is the predicted number."""
    X, _ = data(2)
    estimator.fit(X, X @ np.arange(5))

    np.testing.assert_allclose(walked(read(estimator), X).ravel(), estimator.predict(X), rtol=1e-13)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    ("estimator", "read"),
    [
        (GradientBoostingClassifier(n_estimators=5, random_state=0), trees.gradient_boosting),
        (HistGradientBoostingClassifier(max_iter=5, random_state=0), trees.histogram_boosting),
    ],
)
def test_boosting_sums_up_scores(estimator: Any, read: Any, classes: int) -> None:
    """One for two classes, else one a class."""
    X, y = data(classes)
    expected = estimator.fit(X, y).decision_function(X).reshape(len(X), -1)

    np.testing.assert_allclose(walked(read(estimator), X), expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (GradientBoostingClassifier(n_estimators=2, init=DecisionTreeClassifier()), "estimator of its own"),
        (GradientBoostingClassifier(n_estimators=2, loss="exponential"), "exponential loss"),
    ],
)
def test_it_says_what_it_does_not_read(estimator: Any, words: str) -> None:
    """The table of a training shows these words."""
    with pytest.raises(NotImplementedError, match=words):
        trees.gradient_boosting(estimator.fit(*data(2)))
