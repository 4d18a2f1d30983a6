"""Whether labelled predictions of a quantity are worse than was expected of them: in error, or in coverage.

Pure functions, no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, sqrt

from prediction.figures import error_sums
from prediction.figures.error_sums import ErrorSums

ABOVE, UNCOVERED = "above estimate", "below level"
LIMIT = 0.005
"""Of 100 models that are as good as in training, about one ever raises an alarm: half by chance ..."""

RARE, DOUBT = 0.005, 2.576
"""... and half by the noise of the rows that the calibration was learned from: it is larger than so many
standard deviations in so many of all versions."""

BEST_ROWS = 100
"""The alarm is most sensitive at about so many labels."""


@dataclass(frozen=True)
class Learned:
    """What a version knows of its errors.

    Parameters
    ----------
    level, factor
        Of its intervals: half a width is `factor` expected errors.
    spread, rows
        The standard deviation of sizes of errors around what was expected, and on how many independent
        rows, or groups of rows, both were learned.
    """

    level: float
    factor: float
    spread: float
    rows: int


@dataclass(frozen=True)
class Excess:
    """Labelled predictions against what was expected of them.

    Parameters
    ----------
    found, expected
        The figure of the `n` labelled predictions, and what was expected of it.
    p
        A p-value for any number of looks. There is an alarm from `limit` on.
    """

    state: str
    found: float
    expected: float
    n: int
    p: float
    limit: float


def of_error(pieces: Sequence[ErrorSums], learned: Learned) -> Excess | None:
    """Compare the sizes of errors with the model of errors; None for no rows."""
    whole = sum(pieces, ErrorSums())
    n, expected = whole.rows, whole.half / learned.factor
    if not n:
        return None
    by_rows = max(whole.square / n - (whole.absolute / n) ** 2, learned.spread**2) * n
    totals = [piece.absolute - piece.half / learned.factor for piece in pieces]
    doubt = DOUBT * n * learned.spread / sqrt(max(1, learned.rows))
    p = _p_value(whole.absolute - expected, _variance(pieces, totals, by_rows), doubt, n)
    return Excess(ABOVE if p <= LIMIT else "as estimated", whole.absolute / n, expected / n, n, p, LIMIT)


def of_coverage(pieces: Sequence[ErrorSums], learned: Learned) -> Excess | None:
    """Compare the share of true numbers in their intervals with the level; None for no rows.

    Notes
    -----
    The intervals of a version hold another share than the level, because its factor is an order statistic
    of few errors: of m, the k-th smallest. The share is beta distributed, with k and m + 1 - k as
    parameters (Vovk, Conditional validity of inductive conformal predictors, ACML 2012). For 1 of 200
    versions it is below the quantile of 0.005; that distance is the doubt.
    """
    whole = sum(pieces, ErrorSums())
    n, level = whole.rows, learned.level
    if not n:
        return None
    one = level * (1 - level)
    totals = [level * piece.rows - piece.covered for piece in pieces]
    doubt = n * (level - _least_coverage(level, learned.rows))
    p = _p_value(level * n - whole.covered, _variance(pieces, totals, one * n), doubt, n)
    return Excess(UNCOVERED if p <= LIMIT else "as stated", whole.covered / n, level, n, p, LIMIT)


def _least_coverage(level: float, rows: int) -> float:
    """Return the coverage that 199 of 200 versions have at least, by a factor learned from n rows."""
    from scipy.special import betaincinv

    rank = min(rows, ceil((rows + 1) * level - 1e-9))
    return float(betaincinv(rank, rows + 1 - rank, RARE)) if rank > 0 else 0.0


def _variance(pieces: Sequence[ErrorSums], totals: Sequence[float], by_rows: float) -> float:
    """Return the variance of a sum over rows: at least that between pieces of time."""
    n = sum(piece.rows for piece in pieces)
    between = error_sums.between_pieces(pieces, totals)
    return max(by_rows, between * n**2) if between is not None else by_rows


def _p_value(s: float, variance: float, doubt: float, n: int) -> float:
    """Return the p-value of a sum that is above its mean by s, for any number of looks.

    Notes
    -----
    The calibration's error and the chance of the labels are independent, so the root of s^2 - doubt^2 is
    judged. With the variance V, exp(a S - a^2 V / 2), mixed over a normal distribution of a, is
    sqrt(r / (V + r)) exp(S^2 / (2 (V + r))). It exceeds 1 / p ever with a probability of about p at most:
    exactly for normal rows (Robbins, Annals of Mathematical Statistics 41, 1970; Howard, Ramdas, McAuliffe
    and Sekhon, Annals of Statistics 49, 2021), and for others as the rows become many.
    """
    if s <= doubt:
        return 1.0
    if not variance:
        return 0.0
    beyond, room = s**2 - doubt**2, variance * BEST_ROWS / n
    exponent = min(700.0, beyond / (2 * (variance + room)))
    return min(1.0, sqrt((variance + room) / room) * exp(-exponent))
