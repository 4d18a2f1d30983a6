"""Ensembles of trees as arrays, read out of fitted estimators. It knows no ONNX.

Thresholds are float64, and `reads` is the type in which an estimator compares values with them: so a graph
can compare as the estimator does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.graphs.causes import NoConverter

if TYPE_CHECKING:
    from numpy.typing import NDArray

IDENTITY, LOGISTIC, SOFTMAX, EXP = "identity", "logistic", "softmax", "exp"
"""How sums become answers."""


@dataclass(frozen=True)
class Tree:
    """One tree; each array has one entry a node.

    Parameters
    ----------
    left, right
        The next node where a value is at most the threshold, and where it is more.
    is_missing_left
        Whether a missing value goes to the left.
    weight
        What a leaf adds to the sum.
    target
        Which sum it adds to.
    """

    feature: NDArray[Any]
    threshold: NDArray[Any]
    left: NDArray[Any]
    right: NDArray[Any]
    is_leaf: NDArray[Any]
    is_missing_left: NDArray[Any]
    weight: NDArray[Any]
    target: int = 0


@dataclass(frozen=True)
class Trees:
    """Many trees in one list of inner nodes and one list of leaves.

    Parameters
    ----------
    left, right
        Positions of inner nodes, or of leaves where `is_leaf_left` or `is_leaf_right` says so.
    roots
        Positions of inner nodes.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    is_leaf_left: NDArray[np.bool_]
    is_leaf_right: NDArray[np.bool_]
    is_missing_left: NDArray[np.bool_]
    roots: NDArray[np.int64]
    target: NDArray[np.int64]
    weight: NDArray[np.float64]


@dataclass(frozen=True)
class Ensemble:
    """Trees, and how their sums become answers.

    Parameters
    ----------
    reads
        The type in which values are compared with thresholds.
    base
        Added to the sums, shape (sums,).
    link
        Makes answers of sums. Of one sum `LOGISTIC` makes the probability of the second of two classes.
    rows
        If trees give the number of a leaf and not a weight: what each leaf adds, shape (leaves, classes).
    is_below
        Whether a value goes left only if it is below the threshold, and not equal to it.
    count
        What the sums are divided by: whole numbers stay exact until then, as in scikit-learn.
    """

    trees: Trees
    reads: type
    base: NDArray[np.float64]
    link: str = IDENTITY
    rows: NDArray[np.float64] | None = None
    is_below: bool = False
    count: int = 1

    @property
    def sums(self) -> int:
        """How many sums the trees add to."""
        return len(self.base)


def joined(trees: Iterable[Tree]) -> Trees:
    """Join trees; a tree that is one leaf gets a node that leads to this leaf on both sides."""
    parts: list[tuple[Any, ...]] = []
    nodes = leaves = 0
    for tree in trees:
        is_leaf = tree.is_leaf.astype(bool)
        inner, ends = np.flatnonzero(~is_leaf), np.flatnonzero(is_leaf)
        place = np.empty(len(is_leaf), np.int64)
        place[inner] = nodes + np.arange(len(inner))
        place[ends] = leaves + np.arange(len(ends))
        targets = np.full(len(ends), tree.target)
        if len(inner):
            left, right = tree.left[inner].astype(np.int64), tree.right[inner].astype(np.int64)
            missing = tree.is_missing_left[inner].astype(bool)
            known = tree.feature[inner], tree.threshold[inner], place[left], place[right]
            parts.append(
                (*known, is_leaf[left], is_leaf[right], missing, nodes, targets, tree.weight[ends])
            )
        else:
            leaf, yes, zero = place[:1], np.ones(1, bool), np.zeros(1)
            parts.append((zero, zero, leaf, leaf, yes, yes, ~yes, nodes, targets, tree.weight[ends]))
        nodes, leaves = nodes + max(1, len(inner)), leaves + len(ends)
    kinds = (np.int64, np.float64, np.int64, np.int64, bool, bool, bool, np.int64, np.int64, np.float64)
    columns = zip(zip(*parts, strict=True), kinds, strict=True)
    return Trees(*(np.hstack(column).astype(kind) for column, kind in columns))


# ------------------------------------------------------------------------------------- scikit-learn


def forest(estimator: Any) -> Ensemble:
    """Read a tree, or a forest: the mean of its trees. scikit-learn's trees read float32."""
    found = getattr(estimator, "estimators_", [estimator])
    known = [each.tree_ for each in found]
    if estimator.n_outputs_ != 1:
        raise NoConverter("several outputs of a forest")
    classes = getattr(estimator, "classes_", None)
    if classes is not None and len(classes) != 2:
        return _of_many_classes(known)
    weights = [tree.value[:, 0, 0 if classes is None else 1] for tree in known]
    made = joined(map(_of_sklearn, known, weights))
    return Ensemble(made, np.float32, np.zeros(1), count=len(known))


def _of_many_classes(known: list[Any]) -> Ensemble:
    """Give each leaf its number as its weight, and each tree its own sum."""
    first, numbered, rows = 0, [], []
    for position, tree in enumerate(known):
        is_leaf = tree.children_left < 0
        count = int(is_leaf.sum())
        numbers = np.zeros(len(is_leaf))
        numbers[is_leaf] = first + np.arange(count)
        numbered.append(_of_sklearn(tree, numbers, position))
        rows.append(tree.value[is_leaf, 0, :])
        first += count
    base, every = np.zeros(len(known)), np.concatenate(rows)
    return Ensemble(joined(numbered), np.float32, base, rows=every, count=len(known))


def _of_sklearn(tree: Any, weight: NDArray[Any], target: int = 0, *, has_missing: bool = True) -> Tree:
    left, right = tree.children_left, tree.children_right
    missing = tree.missing_go_to_left if has_missing else np.zeros(len(left))
    return Tree(tree.feature, tree.threshold, left, right, left < 0, missing, weight, target)


def gradient_boosting(estimator: Any) -> Ensemble:
    """Read scikit-learn's gradient boosting. Its trees read float32, and no missing values."""
    if estimator.init not in (None, "zero"):
        raise NoConverter("gradient boosting that begins with an estimator of its own")
    stages, rate = estimator.estimators_, estimator.learning_rate
    trees = [
        _of_sklearn(each.tree_, each.tree_.value[:, 0, 0] * rate, target, has_missing=False)
        for stage in stages
        for target, each in enumerate(stage)
    ]
    base = np.ravel(estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_))))
    link = IDENTITY
    if hasattr(estimator, "classes_"):
        link = LOGISTIC if len(base) == 1 else SOFTMAX
        if estimator.loss == "exponential":
            raise NoConverter("gradient boosting with the exponential loss")
    return Ensemble(joined(trees), np.float32, base.astype(np.float64), link)


def histogram_boosting(estimator: Any) -> Ensemble:
    """Read scikit-learn's histogram gradient boosting. It compares float64."""
    stages = estimator._predictors
    if any(tree.nodes["is_categorical"].any() for stage in stages for tree in stage):
        raise NoConverter("categories of histogram gradient boosting")
    trees = [
        Tree(
            nodes["feature_idx"],
            nodes["num_threshold"],
            nodes["left"],
            nodes["right"],
            nodes["is_leaf"],
            nodes["missing_go_to_left"],
            nodes["value"],
            target,
        )
        for stage in stages
        for target, nodes in enumerate(tree.nodes for tree in stage)
    ]
    base = np.ravel(estimator._baseline_prediction).astype(np.float64)
    if hasattr(estimator, "classes_"):
        link = LOGISTIC if len(base) == 1 else SOFTMAX
    else:
        link = {"IdentityLink": IDENTITY, "LogLink": EXP}[type(estimator._loss.link).__name__]
    return Ensemble(joined(trees), np.float64, base, link)
