"""How often a prediction of a given confidence is right, and so the accuracy without labels.

It is learned from predictions of rows that were not trained on. Pure functions, no I/O.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prediction.figures.scores import Z95, Proportion, wilson_ends

MIN_ROWS = 30
"""With fewer rows nothing is learned: the confidence itself is the estimate."""

ISOTONIC_ROWS = 2_000
"""From so many rows on the curve may have any rising shape; with fewer it has two parameters."""

KNOTS = 64
SURE = 1e-6
"""A confidence counts as at least so far from 0 and 1."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """A rising curve: the probability of being right for each confidence.

    Parameters
    ----------
    method
        `platt`, `isotonic`, or `none`: then the confidence itself is the probability.
    rows
        The number of predictions that it was learned from.
    confidence
        The knots. Between them the curve is linear.
    p, low, high
        The probability at each knot, and the curves of its 95 % interval.
    """

    method: str
    rows: int
    confidence: list[float]
    p: list[float]
    low: list[float]
    high: list[float]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    def of(self, confidences: Sequence[float] | Array) -> tuple[Array, Array, Array]:
        """Return the probability of each confidence, and both ends of its interval."""
        x = np.asarray(confidences, np.float64)
        p, low, high = (np.interp(x, self.confidence, each) for each in (self.p, self.low, self.high))
        return p, low, high

    def at(self, confidence: float) -> tuple[float, float, float]:
        """Return the same of one confidence, faster."""
        x, right = self.confidence, bisect(self.confidence, confidence)
        left = right - 1
        if left < 0 or right == len(x):
            end = min(max(left, 0), len(x) - 1)
            return self.p[end], self.low[end], self.high[end]
        share = (confidence - x[left]) / (x[right] - x[left])
        p, low, high = (y[left] + share * (y[right] - y[left]) for y in (self.p, self.low, self.high))
        return p, low, high


NONE = Calibration("none", 0, [0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0])
"""For versions that were trained before there was a calibration, or on too few rows."""


def read(profile: Mapping[str, Any]) -> Calibration:
    """Return the calibration of a version from its profile."""
    found = profile.get("calibration")
    return Calibration(**found) if found else NONE


def learn(confidences: ArrayLike, right: ArrayLike, weights: ArrayLike) -> Calibration:
    """Learn a calibration from predictions of rows that the models had not seen.

    Parameters
    ----------
    confidences, right, weights
        n predictions: the probability of the predicted class, whether it was right, and a weight.

    Notes
    -----
    With few rows: Platt's method, a logistic regression on the logit of the confidence with his targets
    that keep the probabilities from 0 and 1 (Platt, Probabilistic outputs for support vector machines,
    in Advances in Large Margin Classifiers, 1999). With many: isotonic regression, which needs about a
    thousand rows (Niculescu-Mizil and Caruana, Predicting good probabilities with supervised learning,
    ICML 2005). The interval moves the whole curve, on the scale of the logit, so far that its mean over
    these rows is an end of the Wilson interval of their accuracy: the level is what few rows leave
    uncertain.
    """
    c, y, w = (np.asarray(each, np.float64) for each in (confidences, right, weights))
    if len(c) < MIN_ROWS:
        return NONE
    c = np.clip(c, SURE, 1 - SURE)
    method, fitted = ("isotonic", _isotonic) if len(c) >= ISOTONIC_ROWS else ("platt", _platt)
    knots, curve = fitted(c, y, w)
    at_rows = _logit(np.interp(c, knots, curve))
    n = float(w.sum() ** 2 / (w**2).sum())
    down, up = (_shift(at_rows, w, end) for end in wilson_ends(float(w @ y / w.sum()), n))
    low, high = (_expit(_logit(curve) + shift) for shift in (min(0.0, down), max(0.0, up)))
    return Calibration(method, len(c), *(each.tolist() for each in (knots, curve, low, high)))


def _platt(c: Array, y: Array, w: Array) -> tuple[Array, Array]:
    """Fit by Newton's method; a falling curve is replaced by a level one."""
    right, wrong = float(w @ y), float(w @ (1 - y))
    targets = np.where(y > 0, (right + 1) / (right + 2), 1 / (wrong + 2))
    X = np.stack([np.ones_like(c), _logit(c)], axis=1)
    beta = np.array([log((right + 1) / (wrong + 1)), 0.0])
    for _ in range(100):
        p = _expit(X @ beta)
        hessian = (X * (w * p * (1 - p))[:, None]).T @ X + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, X.T @ (w * (targets - p)))
        beta = beta + step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < 1e-9:
            break
    if beta[1] < 0:
        beta = np.array([log((right + 1) / (wrong + 1)), 0.0])
    knots = _expit(np.linspace(_logit(np.array(0.02)), _logit(np.array(1 - SURE)), KNOTS))
    return knots, np.clip(_expit(beta[0] + beta[1] * _logit(knots)), SURE, 1 - SURE)


def _isotonic(c: Array, y: Array, w: Array) -> tuple[Array, Array]:
    """Fit, and draw the steps as a line through knots; a row of mean accuracy keeps it from 0 and 1."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(c, kind="stable")
    x, starts = np.unique(c[order], return_index=True)  # equal confidences get one probability
    weight = np.add.reduceat(w[order], starts)
    fitted = isotonic_regression(np.add.reduceat((w * y)[order], starts) / weight, weights=weight)
    blocks = fitted.blocks[:-1]
    block_weight = np.add.reduceat(weight, blocks)
    mean = float(w @ y + 1) / (w.sum() + 2)
    p = (fitted.x[blocks] * block_weight + mean) / (block_weight + 1)
    knots = np.unique(np.quantile(x, np.linspace(0, 1, KNOTS)))
    return knots, np.maximum.accumulate(np.interp(knots, x, np.repeat(p, np.diff(fitted.blocks))))


def _shift(logits: Array, w: Array, mean: float) -> float:
    """Return how far logits must be moved for their probabilities to have a mean."""
    low, high = -40.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        is_below = float(w @ _expit(logits + middle) / w.sum()) < mean
        low, high = (middle, high) if is_below else (low, middle)
    return (low + high) / 2


def _logit(p: Array) -> Array:
    return np.log(p) - np.log1p(-p)


def _expit(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def expected_accuracy(p: Array, low: Array, high: Array) -> Proportion | None:
    """Estimate accuracy without labels; None for no rows.

    Parameters
    ----------
    p, low, high
        n predictions, as `Calibration.of` has them.

    Notes
    -----
    It is confidence-based performance estimation (CBPE; NannyML, release 0.13, "Estimation of
    Performance of the Monitored Model", https://nannyml.readthedocs.io). A prediction that is right with
    probability p adds p to the expected number of right ones. That number is Poisson-binomial, with
    variance sum p (1 - p); the interval holds both this chance and the calibration's. It can't detect a
    model that is sure and wrong: compare it with the labels for that (`deficit.py`).
    """
    if not len(p):
        return None
    mean, chance = float(p.mean()), Z95 * sqrt(float((p * (1 - p)).sum())) / len(p)
    below, above = np.hypot(mean - low.mean(), chance), np.hypot(high.mean() - mean, chance)
    return Proportion(mean, max(0.0, mean - float(below)), min(1.0, mean + float(above)), len(p))
