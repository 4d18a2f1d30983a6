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
    """

    name: str
    state: str
    test: str
    rows: int
    rows_needed: int
    statistic: float | None = None
    p: float | None = None
    psi: float | None = None
    histogram: Histogram | None = None


def psi(trained: Sequence[float], live: Sequence[float]) -> float:
    """Return the population stability index of two histograms (counts): sum (a - e) ln(a / e).

    e and a are the shares of training and live data in each bin. Half a row is added to every bin, so
    that an empty bin does not make the index infinite (Siddiqi, Credit Risk Scorecards, 2006, has the
    index and its thresholds of 0.1 and 0.25).
    """
    e, a = (np.asarray(counts, np.float64) + 0.5 for counts in (trained, live))
    e, a = e / e.sum(), a / a.sum()
    return float(((a - e) * np.log(a / e)).sum())


def kolmogorov_smirnov(name: str, trained: Sequence[float], live: Sequence[float]) -> Drift:
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
    size = psi(_binned(old, edges), _binned(new, edges))
    p = float(kolmogorov(np.sqrt(effective) * distance))
    return Drift(name, "", test, len(live), 0, distance, p, size, _histogram(old, new))


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

    names = sorted({key for counts in (trained, live) for key, count in counts.items() if count})
    old, new = ([counts.get(key, 0) for key in names] for counts in (trained, live))
    table = np.array([old, new], np.float64)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    p = float(chdtrc(len(names) - 1, statistic)) if len(names) > 1 else 1.0
    shares = [count / before for count in old], [count / rows for count in new]
    return Drift(name, "", test, rows, 0, statistic, p, psi(old, new), Histogram(list(names), *shares))


def judge(found: list[Drift]) -> list[Drift]:
    """Correct the p-values (Holm, Scand. J. Statist. 6, 1979), and set the states."""
    tested = sorted((item for item in found if item.p is not None), key=lambda item: item.p or 0.0)
    judged, largest = {}, 0.0
    for rank, item in enumerate(tested):
        largest = max(largest, min(1.0, (item.p or 0.0) * (len(tested) - rank)))
        is_drifted = largest < SIGNIFICANCE and (item.psi or 0.0) >= MIN_PSI
        judged[item.name] = replace(item, p=largest, state="drifted" if is_drifted else "stable")
    return [judged.get(item.name, item) for item in found]
