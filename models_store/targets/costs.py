"""Costs of the two kinds of errors, and the threshold that they ask for.

The threshold becomes a part of the fitted pipeline, so that its `predict` follows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.errors import InvalidSpec
from models_store.targets import estimators

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.base import ClassifierMixin

DIGITS = 6
"""Probabilities that are equal in so many decimals have no threshold between them."""

ALMOST = 1e-9
"""Costs whose relative difference is smaller are equal."""


@dataclass(frozen=True)
class Cost:
    """The costs of errors, in any unit: only their ratio matters for the threshold.

    Parameters
    ----------
    false_alarm
        Of a negative row that is answered as positive.
    miss
        Of a positive row that is answered as negative.
    """

    false_alarm: float
    miss: float

    @property
    def break_even(self) -> float:
        """The probability from which an alarm is worth its cost, if probabilities are calibrated.

        See Elkan, The foundations of cost-sensitive learning, IJCAI 2001.
        """
        return self.false_alarm / (self.false_alarm + self.miss)

    @property
    def words(self) -> str:
        """Say the costs in words."""
        return f"{self.false_alarm:g} for a false alarm, {self.miss:g} for a miss"


def faults_of(cost: Any, positive: Any) -> list[str]:
    """Return what is wrong with the declaration of costs."""
    if cost is None:
        return []
    if not isinstance(cost, Cost):
        return [f"cost={cost!r} is no Cost: give cost=Cost(false_alarm=1, miss=50)"]
    if positive is None:
        return ["cost= needs positive=, the class whose rows can be missed"]
    given = {field.name: getattr(cost, field.name) for field in fields(cost)}
    return [
        f"the cost of a {name.replace('_', ' ')} is {value!r}: give a number above 0"
        for name, value in given.items()
        if type(value) not in (int, float) or not 0 < value < math.inf
    ]


def demand_no_threshold(pipeline: Any) -> None:
    """Refuse an estimator that has a threshold of its own.

    Raises
    ------
    InvalidSpec
    """
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV

    last = estimators.last_step(pipeline)
    if isinstance(last, FixedThresholdClassifier | TunedThresholdClassifierCV):
        name = type(last).__name__
        raise InvalidSpec(
            f"{name} has a threshold, and cost= chooses one: return the estimator inside of it, or leave"
            " out cost="
        )


def cheapest(
    cost: Cost, is_positive: NDArray[np.bool_], p: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    """Return the threshold that costs least on rows that the model was not trained on.

    Parameters
    ----------
    is_positive, p, weights
        n rows: the label, the probability of the positive class, and a weight.

    Notes
    -----
    Between two neighbouring probabilities all thresholds cost the same. Of the cheapest thresholds the one
    nearest to `Cost.break_even` is taken. Without rows of both classes the costs of rows say nothing, and
    it is `Cost.break_even` itself.
    """
    if is_positive.all() or not is_positive.any():
        return cost.break_even
    values, place = np.unique(np.round(p, DIGITS), return_inverse=True)
    alarms = np.bincount(place, np.where(is_positive, 0.0, weights) * cost.false_alarm, len(values))
    misses = np.bincount(place, np.where(is_positive, weights, 0.0) * cost.miss, len(values))
    # The cost if the rows from values[i] on are answered as positive; the last entry: if no row is.
    spent = np.append(np.cumsum(alarms[::-1])[::-1], 0.0) + np.append(0.0, np.cumsum(misses))
    low, high = np.append(0.0, values), np.append(values, 1.0)
    is_possible = (low < high) | (high == 0)  # above a probability of 1 there is no threshold
    best = spent[is_possible].min()
    chosen = np.flatnonzero(is_possible & (spent <= best + ALMOST * (1 + best)))
    within = [_within(cost.break_even, low[place], high[place]) for place in chosen]
    return min(within, key=lambda threshold: abs(threshold - cost.break_even))


def _within(wanted: float, low: float, high: float) -> float:
    """Return the wanted threshold if it is above `low` and at most `high`, else the middle."""
    return wanted if low < wanted <= high else float(low + high) / 2


def with_threshold(pipeline: ClassifierMixin, threshold: float, positive: Any, y: Any) -> ClassifierMixin:
    """Return a fitted pipeline whose `predict` follows a threshold.

    Parameters
    ----------
    y
        One label of each class: scikit-learn checks that there are two. Nothing is fitted.
    """
    from sklearn.frozen import FrozenEstimator
    from sklearn.model_selection import FixedThresholdClassifier

    return FixedThresholdClassifier(
        FrozenEstimator(pipeline),
        threshold=threshold,
        pos_label=positive,
        response_method="predict_proba",
    ).fit(np.zeros((len(y), 1)), y)
