"""Figures of the errors of predicted numbers, and whether they rose. Pure functions, no I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.targets.intervals import QuantityAnswers
from prediction.figures.scores import Z95

Array = NDArray[np.float64]

RESAMPLES = 2_000
BATCH_CELLS = 4_000_000
"""Numbers drawn at a time, so that memory does not grow with the rows."""

BOOTSTRAP_ROWS = 5_000
"""From so many rows on the statistic is normal enough: nothing is drawn."""


@dataclass(frozen=True)
class QuantityMetrics:
    """Figures of predicted numbers on one set of rows, in the unit of the target.

    Parameters
    ----------
    mae, rmse, bias
        The mean absolute error, the root of the mean squared error, and the mean of true minus predicted.
    r2
        The share of the variance that is explained; None if all labels are equal.
    coverage, width, interval_score
        The share of intervals that hold the true number, their mean width, and their interval score.
    """

    rows: int
    mae: float
    rmse: float
    bias: float
    r2: float | None
    coverage: float
    width: float
    interval_score: float

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values; those that are None are left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def metrics(truth: Array, answers: QuantityAnswers, level: float) -> QuantityMetrics:
    """Compare true numbers with answers.

    Notes
    -----
    The interval score of an interval [l, u] of level 1 - a is (u - l) + 2/a (l - y) below it and
    (u - l) + 2/a (y - u) above it (Gneiting and Raftery, Strictly proper scoring rules, prediction, and
    estimation, JASA 102, 2007, section 6.2). It is small for intervals that are narrow and hold the number.
    """
    error = truth - answers.values
    spread = float(((truth - truth.mean()) ** 2).sum())
    missed = np.maximum(answers.low - truth, 0) + np.maximum(truth - answers.high, 0)
    width = answers.high - answers.low
    return QuantityMetrics(
        rows=len(truth),
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt((error**2).mean())),
        bias=float(error.mean()),
        r2=1 - float((error**2).sum()) / spread if spread else None,
        coverage=float(answers.covers(truth).mean()),
        width=float(width.mean()),
        interval_score=float((width + 2 / (1 - level) * missed).mean()),
    )


def p_of_rise(difference: Array, limit: float, seed: int = 0) -> float:
    """Return the p-value of "the mean difference is `limit` or more", by the bootstrap-t.

    Parameters
    ----------
    difference
        For each of n rows the new absolute error less the old one.

    Notes
    -----
    The upper bound of the mean at 1 - a is below the limit exactly if p is below a. The bound is that of
    the percentile-t method: it studentizes each resample, so it is second-order accurate for skewed
    differences (Hall, The Bootstrap and Edgeworth Expansion, Springer 1992). If all
    differences are equal there is no chance in them: p is then 0 or 1.
    """
    n, mean = len(difference), float(difference.mean())
    error = float(difference.std(ddof=1)) / n**0.5 if n > 1 else 0.0
    if error <= 1e-12 * max(1.0, abs(mean)):
        return 0.0 if mean <= limit else 1.0
    t = (mean - limit) / error
    if n >= BOOTSTRAP_ROWS:
        from scipy.special import ndtr

        return float(ndtr(t))
    drawn = _studentized(difference, mean, seed)
    return (1 + float((drawn <= t).sum())) / (1 + len(drawn))


def can_show(difference: Array, limit: float) -> bool:
    """Return whether these rows are enough to show of an equal model that the mean is below the limit."""
    if len(difference) < 2:
        return False
    return bool(Z95 * float(difference.std(ddof=1)) / len(difference) ** 0.5 <= limit)


def _studentized(difference: Array, mean: float, seed: int) -> Array:
    """Return the statistic of each resample; one whose rows are all equal has an infinite one."""
    rng, n = np.random.default_rng(seed), len(difference)
    found = []
    for _ in range(0, RESAMPLES, batch := max(1, BATCH_CELLS // n)):
        rows = difference[rng.integers(0, n, (min(batch, RESAMPLES), n))]
        error = rows.std(axis=1, ddof=1) / n**0.5
        away = rows.mean(axis=1) - mean
        with np.errstate(divide="ignore", invalid="ignore"):
            found.append(np.where(away == 0, 0.0, away / error))
    return np.concatenate(found)[:RESAMPLES]
