"""Columns that give the target away: each of them alone tells all labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prediction.proposals.columns import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_ROWS = 30
FOLDS = 5
MAX_ROWS = 5_000
ALL = 0.999
"""The share of labels that a column must tell alone, or the rank correlation with a quantity."""


def find(columns: Sequence[Column], labels: Sequence[Any], is_quantity: bool) -> dict[str, str]:
    """Return why columns give the target away, by header.

    Rows that a tree was not fitted on are told by the column alone; a quantity by its order.

    Parameters
    ----------
    labels
        Of all rows; none is missing.
    """
    if len(labels) < MIN_ROWS:
        return {}
    rows = np.random.default_rng(0).permutation(len(labels))[:MAX_ROWS]
    y = np.array([labels[row] for row in rows], float if is_quantity else object)
    found = {}
    for column in columns:
        x = _numbers([column.values[row] for row in rows])
        told = _order(x, y) if is_quantity else _told(x, y.astype(str))
        if told >= ALL:
            what = (
                "puts all rows in the same order"
                if is_quantity
                else f"alone tells {told:.1%} of the classes"
            )
            found[column.header] = f"it gives the target away: it {what}"
    return found


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    """Return values as numbers: texts as their places in the order of texts; a missing one is NaN."""
    if any(isinstance(value, str) for value in values):
        place = {
            value: at for at, value in enumerate(sorted({each for each in values if each is not None}))
        }
        return np.array([np.nan if value is None else place[value] for value in values])
    if any(hasattr(value, "toordinal") for value in values):
        return np.array([np.nan if value is None else _seconds(value) for value in values])
    return np.array([np.nan if value is None else float(value) for value in values])


def _seconds(value: Any) -> float:
    return float(value.timestamp()) if hasattr(value, "timestamp") else value.toordinal() * 86_400.0


def _order(x: NDArray[np.float64], y: NDArray[Any]) -> float:
    from scipy.stats import spearmanr

    known = ~np.isnan(x)
    if known.mean() < 0.5 or len(set(x[known])) < MIN_ROWS // 2:
        return 0.0
    return float(abs(spearmanr(x[known], y[known]).statistic))


def _told(x: NDArray[np.float64], y: NDArray[Any]) -> float:
    """Return the share of the labels that a tree tells, beside the most frequent class: 0 if none."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    classes, counts = np.unique(y, return_counts=True)
    enough = np.isin(y, classes[counts >= FOLDS])
    x, y = x[enough], y[enough]
    if len(set(y)) < 2:
        return 0.0
    tree = DecisionTreeClassifier(max_leaf_nodes=20 * len(counts), min_samples_leaf=2, random_state=0)
    filled = np.where(np.isnan(x), np.nanmax(x, initial=0.0) + 1e6, x)[:, None]
    told = cross_val_predict(tree, filled, y, cv=StratifiedKFold(FOLDS, shuffle=True, random_state=0))
    balanced = np.mean([np.mean(told[y == each] == each) for each in np.unique(y)])
    return float(balanced)
