"""Tests of live data against training data. Pure functions, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_ROWS = 50
"""The least number of live values for a test. It is enough to detect a shift by one standard deviation."""

SIGNIFICANCE = 0.05
MIN_PSI = 0.1
"""The usual threshold: a smaller difference does not matter, even if it is significant."""

PSI_CONFIDENCE = 0.95
"""The true index is at least `psi_low` in so many windows."""

TINY = 1e-9
"""SciPy gives a bound of zero as the smallest number there is."""

PSI_BINS = 10
HISTOGRAM_BINS = 20


@dataclass(frozen=True)
class Histogram:
    """Shares of training and live data, by category or by bin of a number (one edge more than bins).

    The bins of a number divide the range of the training data. `below` and `above` are the shares of live
    data outside it, so one value far away does not widen the bins.
    """

    bins: list[Any]
    trained: list[float]
    live: list[float]
    below: float = 0.0
    above: float = 0.0


@dataclass(frozen=True)
class Condition:
    """One of the two conditions of drift: a figure and its limit."""

    name: str
    value: float
    limit: float
    holds: bool


@dataclass(frozen=True)
class Drift:
    """The comparison of live values of a feature, or of predicted classes, with the training data.

    Parameters
    ----------
    state
        `drifted`, `stable` or `not enough data`.
    rows, rows_needed
        The number of live values, and how many more are needed for a test.
    statistic
        The Kolmogorov-Smirnov distance of two distributions, or chi-squared.
    p
        The p-value, corrected for the number of tests by Holm's method.
    psi
        The population stability index: the size of the difference.
    psi_by_chance
        The mean of the index if nothing has changed.
    psi_low
        The lower confidence bound of the index without the part that is chance.
    conditions
        A feature has drifted if both hold: `p` is small, and `psi_low` is large.
    """

    name: str
    state: str
    test: str
    rows: int
    rows_needed: int
    statistic: float | None = None
    p: float | None = None
    psi: float | None = None
    psi_by_chance: float | None = None
    psi_low: float | None = None
    conditions: tuple[Condition, ...] = ()
    histogram: Histogram | None = None


@dataclass(frozen=True)
class Stability:
    """The population stability index of two histograms, with the part of it that is chance."""

    psi: float
    psi_by_chance: float
    psi_low: float


def stability(trained: Sequence[float], live: Sequence[float], trained_rows: int) -> Stability:
    """Return the population stability index of two histograms (counts), sum (a - e) ln(a / e).

    e and a are the shares of training and live data in each bin. Half a row is added to every bin, so
    that an empty bin does not make the index infinite; bins that are empty in both are left out
    (Siddiqi, Credit Risk Scorecards, 2006, has the index and its thresholds of 0.1 and 0.25).

    Parameters
    ----------
    trained_rows
        The number of rows of the training data; `trained` may count a sample of them.

    Notes
    -----
    Of two samples of the same population with n and m rows, the index in B bins divided by
    1/n + 1/m has about the chi-squared distribution with B - 1 degrees of freedom, so its mean is
    (B - 1)(1/n + 1/m) (Yurdakul, Statistical Properties of Population Stability Index, dissertation,
    Western Michigan University, 2018; Yurdakul and Naranjo, J. Risk Model Validation 14, 2020). If the
    populations differ, the distribution is about the non-central one. The lower bound is the index of
    the populations for which the index found here, or a larger one, has a probability of 0.05.
    """
    from scipy.special import chndtrinc

    table = np.array([trained, live], np.float64)
    e, a = table[:, table.any(axis=0)] + 0.5
    e, a = e / e.sum(), a / a.sum()
    found = float(((a - e) * np.log(a / e)).sum())
    unit, degrees = 1 / trained_rows + 1 / table[1].sum(), len(e) - 1
    excess = float(chndtrinc(found / unit, degrees, PSI_CONFIDENCE)) if degrees and found else 0.0
    return Stability(found, float(degrees * unit), float(excess * unit) if excess > TINY else 0.0)


def kolmogorov_smirnov(
    name: str, trained_rows: int, trained: Sequence[float], live: Sequence[float]
) -> Drift:
    """Two-sample test with the asymptotic distribution; with ties or few rows it is conservative."""
    test = "Kolmogorov-Smirnov"
    if len(live) < MIN_ROWS or not trained:
        return Drift(name, "not enough data", test, len(live), max(0, MIN_ROWS - len(live)))
    from scipy.special import kolmogorov

    old, new = np.sort(trained), np.sort(live)
    steps = np.concatenate([old, new])
    distance = float(np.abs(_cumulative(old, steps) - _cumulative(new, steps)).max())
    effective = len(old) * len(new) / (len(old) + len(new))
    edges = _edges(old)
    size = stability(_binned(old, edges), _binned(new, edges), trained_rows)
    p = float(kolmogorov(np.sqrt(effective) * distance))
    return Drift(name, "", test, len(live), 0, distance, p, histogram=_histogram(old, new), **vars(size))


def _cumulative(ordered: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.searchsorted(ordered, at, side="right") / len(ordered)


def _edges(old: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the upper edges of the bins: ten bins with equally many training values.

    A value as frequent as a whole bin gets a bin of its own, so that smaller values are not in its bin.
    """
    values, counts = np.unique(old, return_counts=True)
    often = values[counts >= len(old) / PSI_BINS]
    quantiles = np.quantile(old, np.linspace(0, 1, PSI_BINS + 1)[1:-1])
    return np.unique(np.concatenate([quantiles, often, np.nextafter(often, -np.inf)]))


def _binned(values: NDArray[np.float64], edges: NDArray[np.float64]) -> list[float]:
    counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
    return [float(count) for count in counts]


def _histogram(old: NDArray[np.float64], new: NDArray[np.float64]) -> Histogram:
    low, high = float(old[0]), float(old[-1])
    edges = np.linspace(low, high if high > low else low + 1, HISTOGRAM_BINS + 1)
    trained, live = ((np.histogram(values, edges)[0] / len(values)).tolist() for values in (old, new))
    below, above = float((new < edges[0]).mean()), float((new > edges[-1]).mean())
    return Histogram(edges.tolist(), trained, live, below, above)


def chi_squared(name: str, trained: Mapping[str, int], live: Mapping[str, int]) -> Drift:
    """Pearson's test of homogeneity on the table of 2 rows and k categories; k - 1 degrees."""
    test, rows, before = "chi-squared", sum(live.values()), sum(trained.values())
    if rows < MIN_ROWS or not before:
        return Drift(name, "not enough data", test, rows, max(0, MIN_ROWS - rows))
    from scipy.special import chdtrc

    ordered = [*trained, *sorted(set(live) - set(trained))]
    names = [name for name in ordered if trained.get(name) or live.get(name)]
    old, new = ([counts.get(key, 0) for key in names] for counts in (trained, live))
    table = np.array([old, new], np.float64)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    p = float(chdtrc(len(names) - 1, statistic)) if len(names) > 1 else 1.0
    shares = [count / before for count in old], [count / rows for count in new]
    size, histogram = stability(old, new, before), Histogram(list(names), *shares)
    return Drift(name, "", test, rows, 0, statistic, p, histogram=histogram, **vars(size))


def judge(found: list[Drift]) -> list[Drift]:
    """Correct the p-values (Holm, Scand. J. Statist. 6, 1979), and set the states."""
    tested = sorted((item for item in found if item.p is not None), key=lambda item: item.p or 0.0)
    judged, largest = {}, 0.0
    for rank, item in enumerate(tested):
        largest = max(largest, min(1.0, (item.p or 0.0) * (len(tested) - rank)))
        low = item.psi_low or 0.0
        conditions = (
            Condition("p", largest, SIGNIFICANCE, largest < SIGNIFICANCE),
            Condition("psi_low", low, MIN_PSI, low >= MIN_PSI),
        )
        state = "drifted" if all(each.holds for each in conditions) else "stable"
        judged[item.name] = replace(item, p=largest, state=state, conditions=conditions)
    return [judged.get(item.name, item) for item in found]
