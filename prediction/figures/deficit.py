"""Whether labelled predictions are right less often than their calibrated probabilities promise.

Pure functions, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

BELOW = "below estimate"
LIMIT = 0.005
"""Of 100 models that are as good as in training, at most one ever raises an alarm: half by chance ..."""

DOUBT = 2.576 / 1.96
"""... and half by an error of the calibration: its interval is widened from 95 to 99 %."""

BEST_VARIANCE = 10.0
"""The variance, in rows, at which the alarm is most sensitive: a hundred labels of a good model."""


@dataclass(frozen=True)
class Expected:
    """What a calibration expects of labelled rows: sums over them.

    Parameters
    ----------
    rows
        The number of rows.
    p, low
        Sums of the probability of being right, and of its lower end.
    variance
        The sum of p (1 - p).
    """

    rows: int
    p: float
    low: float
    variance: float


@dataclass(frozen=True)
class Deficit:
    """Labelled predictions against their estimate.

    Parameters
    ----------
    state
        `below estimate`, or `as estimated`.
    accuracy, estimate
        The share of right predictions among the `n` labelled ones, and the mean of their probabilities.
    p
        A p-value that holds however often one looks. The state is `below estimate` from `limit` on.
    """

    state: str
    accuracy: float
    estimate: float
    n: int
    p: float
    limit: float


def judge(right: int, expected: Expected) -> Deficit | None:
    """Test whether labelled predictions are right less often than was expected; None for no rows.

    Notes
    -----
    S is the sum of p - y, where y is 1 for a right prediction and else 0; its variance is V, the sum of
    p (1 - p). Spiegelhalter (Statistics in Medicine 5, 1986) compares outcomes with probabilities in
    this way; his statistic weighs each row by 1 - 2p, because it is about Brier's score, and here the
    question is accuracy. The calibration has an error of its own: for 1 of 200 models its sum is too
    high by more than D, which is the sum of p - p_low widened by `DOUBT`. Both errors are independent,
    so the root of S^2 - D^2 is judged.
    """
    if not expected.rows:
        return None
    fallen, doubt = expected.p - right, DOUBT * (expected.p - expected.low)
    beyond = sqrt(fallen**2 - doubt**2) if fallen > doubt else 0.0
    p = p_of_sum(beyond, expected.variance)
    state = BELOW if p <= LIMIT else "as estimated"
    return Deficit(state, right / expected.rows, expected.p / expected.rows, expected.rows, p, LIMIT)


def p_of_sum(s: float, variance: float) -> float:
    """Return the p-value of a sum that is above its mean by s, for any number of looks.

    Notes
    -----
    p - y is at most 1, so exp(a S - V (e^a - 1 - a)) has a mean of at most 1 for each a > 0 after any
    number of rows (Bennett's inequality: S is sub-Poisson). A mixture of these over e^a, here gamma
    distributed and restricted to e^a > 1, has it too, and so ever exceeds 1 / alpha with a probability
    of at most alpha. This is the gamma-Poisson mixture of Howard, Ramdas, McAuliffe and Sekhon
    (Time-uniform, nonparametric, nonasymptotic confidence sequences, Annals of Statistics 49, 2021). It
    holds for models that are seldom wrong, where a normal approximation does not.
    """
    from scipy.special import gammaincc, gammaln

    if s <= 0:
        return 1.0
    looks = 2 * log(1 / (2 * LIMIT))
    rho = BEST_VARIANCE / (looks + log(1 + looks))
    b = variance + rho
    a = s + b
    constant = rho * log(rho) - gammaln(rho) - log(gammaincc(rho, rho))
    evidence = constant + gammaln(a) + log(gammaincc(a, b)) - a * log(b) + variance
    return min(1.0, exp(-float(evidence)))
