"""Figures that say how good predictions are. Pure functions on arrays, no I/O; the gate is `gate.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.targets.decisions import ClassAnswers

Z95 = 1.959963984540054
"""95 % of a normal distribution lies within this many standard deviations of its mean."""


@dataclass(frozen=True)
class Metrics:
    """Figures of one classifier on one set of rows; ratios are in [0, 1], log-loss in nats."""

    rows: int
    accuracy: float
    macro_f1: float
    log_loss: float
    recall: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return asdict(self)


def metrics(labels: NDArray[np.object_], answers: ClassAnswers, classes: tuple[str, ...]) -> Metrics:
    """Compare labels with answers.

    Parameters
    ----------
    labels
        True classes, shape (n,), n > 0.
    answers
        To n rows, in the order of `classes`.

    Notes
    -----
    Log-loss is the mean of -ln p(true class), p clipped to 1e-15. The F1 of a class is
    2 TP / (2 TP + FP + FN); macro-F1 is its mean over the classes that are true or predicted
    somewhere, as in scikit-learn. A class without a row has no recall.
    """
    truth = positions(labels, classes)
    predicted = answers.best
    f1, recall = [], {}
    for position, name in enumerate(classes):
        true, said = truth == position, predicted == position
        hits = int((true & said).sum())
        if true.any() or said.any():
            f1.append(2 * hits / int(true.sum() + said.sum()))
        if true.any():
            recall[name] = hits / int(true.sum())
    return Metrics(
        rows=len(truth),
        accuracy=float((truth == predicted).mean()),
        macro_f1=float(np.mean(f1)),
        log_loss=float(-np.log(of_truth(answers.probabilities, truth)).mean()),
        recall=recall,
    )


def positions(labels: NDArray[np.object_], classes: tuple[str, ...]) -> NDArray[np.intp]:
    """Return the position of each label in `classes`; KeyError for a label that is not in it."""
    index = {name: position for position, name in enumerate(classes)}
    return np.array([index[label] for label in labels])


def of_truth(probabilities: NDArray[np.float64], truth: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the probability of each row's true class, clipped to [1e-15, 1]."""
    return np.clip(probabilities[np.arange(len(truth)), truth], 1e-15, 1.0)


@dataclass(frozen=True)
class Proportion:
    """A share of n rows, in [0, 1], with its 95 % confidence interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Scores:
    """How good predictions were, by their labels; a class without a label has no recall."""

    accuracy: Proportion
    macro_f1: float
    recall: dict[str, Proportion]


def wilson(hits: int, n: int) -> Proportion | None:
    """Return a share with its Wilson score interval (Wilson, JASA 22, 1927); None for no rows.

    Unlike the normal approximation it holds for few rows, and for shares near 0 and 1.
    """
    if n == 0:
        return None
    low, high = wilson_ends(hits / n, n)
    return Proportion(hits / n, low, high, n)


def wilson_ends(share: float, n: float, z: float = Z95) -> tuple[float, float]:
    """Return both ends of the Wilson score interval of a share of n rows, by default that of 95 %."""
    squared = z**2
    middle = (share + squared / (2 * n)) / (1 + squared / n)
    half = z * ((share * (1 - share) + squared / (4 * n)) / n) ** 0.5 / (1 + squared / n)
    return min(share, middle - half), max(share, middle + half)


def p_of_fall(worse: float, better: float, n: int, margin: float) -> float:
    """Return the p-value of "the share of right answers falls by `margin` or more".

    Parameters
    ----------
    worse, better
        Of n rows, those that the old model alone answers right, and those that the new one alone does.
    margin
        At least 0. No fall is larger than 1.

    Notes
    -----
    It is Tango's score test for paired proportions (Tango, Equivalence test and confidence interval for the
    difference in proportions for the paired-sample design, Statistics in Medicine 17, 1998). q is the
    likeliest share of `better` rows if the fall is just `margin`. So the variance is not 0 if both models
    are right on the same rows, and few rows show little. With a margin of 0 it is McNemar's test.
    """
    from scipy.special import ndtr

    if margin >= 1:
        return 0.0
    b = margin * (2 * n + better - worse) - worse - better
    c = -better * margin * (1 - margin)
    q = (sqrt(b * b - 8 * n * c) - b) / (4 * n)
    variance = n * (2 * q + margin * (1 - margin))
    return float(ndtr((worse - better - n * margin) / sqrt(variance))) if variance else 0.5


def scores(confusion: dict[tuple[str, str], int], classes: Sequence[str]) -> Scores | None:
    """Compute scores from counts; None if there are no rows of these classes.

    Parameters
    ----------
    confusion
        Rows by predicted class and label.

    Notes
    -----
    F1 and macro-F1 are those of `metrics`.
    """
    accuracy = wilson(sum(confusion.get((name, name), 0) for name in classes), sum(confusion.values()))
    if accuracy is None:
        return None
    f1, recall = [], {}
    for name in classes:
        said = sum(rows for (predicted, _), rows in confusion.items() if predicted == name)
        true = sum(rows for (_, label), rows in confusion.items() if label == name)
        hits = confusion.get((name, name), 0)
        if said or true:
            f1.append(2 * hits / (said + true))
        found = wilson(hits, true)
        if found is not None:
            recall[name] = found
    if not f1:  # all rows have classes that the spec no longer has
        return None
    return Scores(accuracy, sum(f1) / len(f1), recall)
