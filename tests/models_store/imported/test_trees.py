"""Trees that name nodes or features that are not there are found before compiled code follows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree

from models_store.errors import InvalidModel
from models_store.imported import trees
from tests.elsewhere import fitted


def rebuilt(tree: Any, change: Callable[[Any], None], features: int = 4) -> Any:
    """Make a tree of changed nodes, as a hostile file does."""
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    change(state["nodes"])
    made = Tree(features, np.array([3], np.intp), 1)
    made.__setstate__(state)
    return made


def put(field: str, value: int) -> Callable[[Any], None]:
    """Change the root of a tree."""

    def change(nodes: Any) -> None:
        nodes[field][0] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (put("left_child", 10_000), "a child that is not there"),
        (put("right_child", -5), "a child that is not there"),
        (put("left_child", 0), "a child that is not there"),
        (put("left_child", -1), "a leaf of a tree has a child"),
        (put("feature", 4), "a feature that is not there"),
        (put("feature", -3), "a feature that is not there"),
    ],
)
def test_a_forged_node_is_found(change: Callable[[Any], None], words: str) -> None:
    """It would read foreign memory, or never end."""
    model = fitted(DecisionTreeClassifier(random_state=0))
    model.tree_ = rebuilt(model.tree_, change)

    with pytest.raises(InvalidModel, match=words):
        trees.check(model)


def test_a_tree_of_more_features_is_found() -> None:
    """Its own number of features is not that of the estimator which checks the rows."""
    model = fitted(DecisionTreeClassifier(random_state=0))
    model.tree_ = rebuilt(model.tree_, lambda _: None, features=9)
    with pytest.raises(InvalidModel, match="another number of features"):
        trees.check(model)

    forest = fitted(RandomForestClassifier(2, random_state=0))
    forest.estimators_[1].n_features_in_ = 9
    with pytest.raises(InvalidModel, match="another number of features"):
        trees.check(forest)


@pytest.mark.parametrize(("field", "value"), [("left", 10_000), ("feature_idx", 4), ("is_categorical", 1)])
def test_a_forged_node_of_boosted_histograms_is_found(field: str, value: int) -> None:
    """They have nodes of another form."""
    model = fitted(HistGradientBoostingClassifier(max_iter=2, random_state=0))
    trees.check(model)
    predictor = next(one for one in model._predictors[0] if len(one.nodes) > 1)
    predictor.nodes[field][0] = value

    with pytest.raises(InvalidModel, match="a tree"):
        trees.check(model)


def test_a_tree_stands_in_an_estimator() -> None:
    """Elsewhere nobody would check it."""
    model = fitted()
    model.extra_ = {"hidden": [fitted(DecisionTreeClassifier()).tree_]}

    with pytest.raises(InvalidModel, match="outside of an estimator"):
        trees.check(model)


def test_honest_trees_pass() -> None:
    """Also in an ensemble."""
    trees.check(fitted(RandomForestClassifier(3, random_state=0)))
