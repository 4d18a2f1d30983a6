"""The factor that makes an interval of an expected error. Pure functions, no I/O."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray


def needed(level: float) -> int:
    """Return the least number of rows for an interval of a level: with fewer it would have no end."""
    return ceil(level / (1 - level) - 1e-9)


def factor(scores: NDArray[np.float64], weights: NDArray[np.float64], level: float) -> float:
    """Return the half width of an interval, in expected errors.

    Parameters
    ----------
    scores
        n sizes of errors, each divided by the expected one, of rows that the model had not seen.
    weights
        The weight of each row, in (0, 1].

    Notes
    -----
    It is the quantile of split conformal prediction for scaled residuals (Lei, G'Sell, Rinaldo,
    Tibshirani and Wasserman, Distribution-free predictive inference for regression, JASA 113, 2018,
    section 5.2): of n scores the ceil((n + 1) level)-th smallest. A new row counts as one more row
    beyond all others, here with the weight 1.
    """
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weights[order])
    wanted = level * (reached[-1] + 1)
    place = int(np.searchsorted(reached, wanted * (1 - 1e-12)))
    return float(scores[order][min(place, len(scores) - 1)])
