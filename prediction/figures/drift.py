"""The profile of training data, and tests of live data against it. Pure functions, no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.spec import Columns, Feature, Spec

SAMPLE_SIZE = 1000
"""Values kept of each numeric feature. They are evenly spaced in rank, which keeps the quantiles."""

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
PREDICTED_CLASS = "predicted class"


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


def profile(spec: Spec, columns: Columns, labels: Sequence[str]) -> dict[str, Any]:
    """Summarise training data: rows, class counts, and the distribution of each feature.

    Returns
    -------
    dict
        `rows`, `classes` (count by class) and `features`: for a number `missing`, `min`, `max` and
        `sample` (sorted); for a category `missing` and `counts`. Units are those of the spec.
    """
    return {
        "rows": len(labels),
        "classes": {name: Counter(labels)[name] for name in spec.target.counted},
        "features": {name: _distribution(feature, columns[name]) for name, feature in spec.inputs.items()},
    }


def _distribution(feature: Feature, values: list[Any]) -> dict[str, Any]:
    present = [value for value in values if value is not None]
    missing = len(values) - len(present)
    if feature.categories:
        counts = Counter(present)
        return {"missing": missing, "counts": {name: counts[name] for name in feature.categories}}
    present.sort()
    return {
        "missing": missing,
        "min": present[0] if present else None,
        "max": present[-1] if present else None,
        "sample": _evenly_spaced(present, SAMPLE_SIZE),
    }


def _evenly_spaced(ordered: list[float], size: int) -> list[float]:
    if len(ordered) <= size:
        return ordered
    last = len(ordered) - 1
    return [ordered[round(step * last / (size - 1))] for step in range(size)]


def compare(spec: Spec, profile: dict[str, Any], columns: Columns, predicted: Sequence[str]) -> list[Drift]:
    """Compare live data with a profile: each feature, then the predicted classes.

    A feature has drifted if the test is significant (p below 0.05 after Holm's correction, so that all
    tests together give a false alarm in at most 5 of 100 windows) and the difference is large (the
    lower bound of PSI is at least 0.1).

    Parameters
    ----------
    columns, predicted
        n live rows: a list of values for each feature, and the predicted classes.
    """
    found = []
    for name, feature in spec.inputs.items():
        seen = profile["features"].get(name)
        live = [value for value in columns[name] if value is not None]
        if seen is None or bool(feature.categories) != ("counts" in seen):
            continue  # the version was trained for other features
        if feature.categories:
            found.append(_chi_squared(name, seen["counts"], Counter(live)))
        else:
            found.append(_kolmogorov_smirnov(name, profile["rows"] - seen["missing"], seen["sample"], live))
    # Answers are compared with answers: a threshold gives them other shares than the labels have.
    # A version of an earlier release has counted the labels only.
    expected = profile.get("answers", profile["classes"])
    found.append(_chi_squared(PREDICTED_CLASS, expected, Counter(predicted)))
    return _judge(found)


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


def _kolmogorov_smirnov(
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


def _chi_squared(name: str, trained: dict[str, int], live: dict[str, int]) -> Drift:
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
    size, histogram = stability(old, new, before), Histogram(list(names), *shares)
    return Drift(name, "", test, rows, 0, statistic, p, histogram=histogram, **vars(size))


def _judge(found: list[Drift]) -> list[Drift]:
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
