"""Whether the trees of a loaded estimator stay inside their own arrays.

scikit-learn follows the numbers of nodes and features of a tree in compiled code, without a check: a file
with other numbers would read foreign memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.errors import InvalidModel

if TYPE_CHECKING:
    from numpy.typing import NDArray


def check(estimator: Any) -> None:
    """Check all trees in an estimator.

    Raises
    ------
    InvalidModel
        When a tree names nodes or features that are not there, or stands where none is expected.
    """
    from sklearn.ensemble._forest import BaseForest
    from sklearn.ensemble._gb import BaseGradientBoosting
    from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.tree import BaseDecisionTree
    from sklearn.tree._tree import Tree

    known: set[int] = set()
    found: dict[int, Any] = {}
    for each in parts(estimator):
        if isinstance(each, Tree | TreePredictor):
            found[id(each)] = each
        elif isinstance(each, BaseDecisionTree) and hasattr(each, "tree_"):
            known.add(id(each.tree_))
            _check_tree(each.tree_, each.n_features_in_)
        elif isinstance(each, BaseForest | BaseGradientBoosting) and hasattr(each, "estimators_"):
            if any(one.n_features_in_ != each.n_features_in_ for one in np.ravel(each.estimators_)):
                raise InvalidModel(f"a tree of {type(each).__name__} takes another number of features")
        elif isinstance(each, BaseHistGradientBoosting) and hasattr(each, "_predictors"):
            for one in (one for stage in each._predictors for one in stage):
                known.add(id(one))
                _check_predictor(one, each.n_features_in_)
    if found.keys() - known:
        raise InvalidModel("it holds a tree outside of an estimator")


def parts(root: Any) -> Iterator[Any]:
    """Walk through an object and all that it holds."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, str | bytes | int | float):
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list | tuple | set):
            waiting += each
        elif isinstance(each, np.ndarray):
            waiting += each.ravel().tolist() if each.dtype == object else []
        else:
            waiting += getattr(each, "__dict__", {}).values()


def _check_tree(tree: Any, features: int) -> None:
    from sklearn.tree._tree import Tree

    if not isinstance(tree, Tree) or tree.n_features != features:
        raise InvalidModel("a tree takes another number of features than its estimator")
    left, right = tree.children_left, tree.children_right
    is_leaf = left == -1
    if (right[is_leaf] != -1).any():
        raise InvalidModel("a leaf of a tree has a child")
    _check_nodes(np.column_stack([left, right])[~is_leaf], np.flatnonzero(~is_leaf), len(left))
    _check_features(tree.feature[~is_leaf], features)


def _check_predictor(predictor: Any, features: int) -> None:
    nodes = predictor.nodes
    is_leaf = nodes["is_leaf"].astype(bool)
    if nodes["is_categorical"].any():
        raise InvalidModel("a tree of boosted histograms splits on categories, which is not checked")
    children = np.column_stack([nodes["left"], nodes["right"]])[~is_leaf].astype(np.int64)
    _check_nodes(children, np.flatnonzero(~is_leaf), len(nodes))
    _check_features(nodes["feature_idx"][~is_leaf], features)


def _check_nodes(children: NDArray[Any], parents: NDArray[Any], nodes: int) -> None:
    """Children come after their parents, so no way through a tree is endless."""
    if not nodes or (children <= parents[:, None]).any() or (children >= nodes).any():
        raise InvalidModel("a node of a tree has a child that is not there")


def _check_features(used: NDArray[Any], features: int) -> None:
    if (used < 0).any() or (used >= features).any():
        raise InvalidModel("a node of a tree asks for a feature that is not there")
