"""Figures of a rare class that one looks for, and of labels that come for some predictions only.

Pure functions, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from prediction.figures.scores import Proportion, wilson

SIGNIFICANCE = 0.01
LARGE = 1.5
"""Shares of labels differ if the largest is so many times the smallest, and chance does not explain it."""


@dataclass(frozen=True)
class Ranking:
    """How well probabilities find the positive class; all but `brier` are better if larger.

    Parameters
    ----------
    average_precision
        The mean precision over the positive rows, each at its own threshold.
    roc_auc
        How often a positive row has a higher probability than a negative one.
    brier
        The mean squared error of the probability.
    brier_skill
        1 - brier / (s (1 - s)), s the share of positive rows: 0 for a model that answers s always.
    """

    average_precision: float
    roc_auc: float
    brier: float
    brier_skill: float


def rank(is_positive: NDArray[np.bool_], probability: NDArray[np.float64]) -> Ranking | None:
    """Compare the probability of the positive class with labels; None if all rows are of one class.

    Notes
    -----
    As in scikit-learn: rows of one probability share a threshold, and count half in ROC AUC.
    """
    positives, rows = int(is_positive.sum()), len(is_positive)
    if not 0 < positives < rows:
        return None
    order = np.argsort(-probability, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(probability[order])), rows - 1)
    hits = np.cumsum(is_positive[order])[ends]
    found = np.diff(np.append(0, hits))
    misses = np.diff(np.append(0, ends + 1 - hits))
    precision = hits / (ends + 1)
    above = hits - found / 2
    brier = float(((probability - is_positive) ** 2).mean())
    share = positives / rows
    return Ranking(
        average_precision=float((found * precision).sum() / positives),
        roc_auc=float((misses * above).sum() / (positives * (rows - positives))),
        brier=brier,
        brier_skill=1 - brier / (share * (1 - share)),
    )


@dataclass(frozen=True)
class Positive:
    """How predictions of the positive class are doing, with 95 % intervals; None for no rows.

    Parameters
    ----------
    precision, recall
        Of the rows with a label.
    alert_rate
        The share of all rows that were predicted positive.
    """

    label: str
    precision: Proportion | None
    recall: Proportion | None
    alert_rate: Proportion | None


def positive(label: str, by_class: Mapping[str, int], confusion: Mapping[tuple[str, str], int]) -> Positive:
    """Compute figures from counts.

    Parameters
    ----------
    by_class
        Rows by predicted class.
    confusion
        Rows by predicted class and label.
    """
    hits = confusion.get((label, label), 0)
    said = sum(rows for (predicted, _), rows in confusion.items() if predicted == label)
    true = sum(rows for (_, of_row), rows in confusion.items() if of_row == label)
    alerts = wilson(by_class.get(label, 0), sum(by_class.values()))
    return Positive(label, wilson(hits, said), wilson(hits, true), alerts)


def labelled(
    by_class: Mapping[str, int], confusion: Mapping[tuple[str, str], int]
) -> dict[str, Proportion | None]:
    """Return the share of predictions of each class that have a label."""
    given = dict.fromkeys(by_class, 0)
    for (predicted, _), rows in confusion.items():
        given[predicted] = given.get(predicted, 0) + rows
    return {name: wilson(given[name], rows) for name, rows in by_class.items()}


def are_selective(shares: Mapping[str, Proportion | None]) -> bool:
    """Return whether some predicted classes get labels more often than others.

    Then recall is biased: if only predictions of fraud are checked, the frauds that were missed have no
    label, and recall seems to be 1. The test is Pearson's chi-squared test of homogeneity.
    """
    from scipy.special import chdtrc

    known = [share for share in shares.values() if share]
    rows = np.array([share.n for share in known], np.float64)
    given = np.array([share.value * share.n for share in known])
    if len(known) < 2 or not 0 < given.sum() < rows.sum():
        return False
    if max(share.value for share in known) < LARGE * min(share.value for share in known):
        return False
    mean = given.sum() / rows.sum()
    statistic = float(((given - rows * mean) ** 2 / (rows * mean * (1 - mean))).sum())
    return bool(chdtrc(len(known) - 1, statistic) < SIGNIFICANCE)
