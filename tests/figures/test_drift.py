"""The profile of training data, and live data against it: false alarms, power, formulas."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from copy import deepcopy
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, ks_2samp

from models_store import catalog
from models_store.spec import Columns, Features, Spec, category, classes, number
from prediction.figures import drift, profiles
from prediction.figures.features import number as number_figures
from tests import kinds

SPECS = catalog.load()
CLASSIFIERS = {name: spec for name, spec in SPECS.items() if kinds.predicts_classes(spec)}


class Cup(Features):
    """One cup of tea."""

    volume_ml: float | None = number("Volume", unit="ml", low=0, high=1000, example=200, optional=True)
    sort: Literal["black", "green", "white"] | None = category("Sort", example="black", optional=True)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return nothing: only the schema is looked at."""
    raise NotImplementedError


CUP = Spec("cup", "Taste of a cup", Cup, classes("bitter", "sweet"), load, lambda seed: seed)


def profile_of(volumes: list[float | None], sorts: list[str | None] | None = None) -> dict[str, Any]:
    """Summarise cups that all are sweet."""
    columns: Columns = {"volume_ml": list(volumes), "sort": list(sorts or ["black"] * len(volumes))}
    return profiles.profile(CUP, columns, ["sweet"] * len(volumes))


@pytest.mark.parametrize("spec", CLASSIFIERS.values(), ids=list(CLASSIFIERS))
def test_the_profile_of_a_dataset(spec: Spec) -> None:
    """It has rows, classes and each feature, and can be written as JSON."""
    X, y = spec.load()
    columns, labels = spec.columns_of(X), y.tolist()
    profile = profiles.profile(spec, columns, labels)

    assert len(labels) == profile["rows"]
    assert y.value_counts().to_dict() == profile["classes"]
    assert list(spec.target.texts) == list(profile["classes"])
    assert list(spec.inputs) == list(profile["features"])
    assert profile == json.loads(json.dumps(profile))
    for name, feature in spec.inputs.items():
        seen = profile["features"][name]
        assert X[name].isna().sum() == seen["missing"]
        if kinds.categories(feature):
            assert X[name].value_counts().to_dict() == seen["counts"]
        else:
            assert (X[name].min(), X[name].max()) == (seen["min"], seen["max"])
            assert sorted(X[name].dropna()) == seen["sample"]


def test_counts_include_zeros() -> None:
    """Classes and categories without rows have a count of 0."""
    profile = profile_of([1.0, 2.0, 3.0], ["green", None, "green"])

    assert {"bitter": 0, "sweet": 3} == profile["classes"]
    assert {"missing": 1, "counts": {"black": 0, "green": 2, "white": 0}} == profile["features"]["sort"]


def test_missing_values_are_counted_and_not_sampled() -> None:
    """They do not change the range."""
    assert {"missing": 2, "min": 1.0, "max": 3.0, "sample": [1.0, 2.0, 3.0]} == profile_of(
        [3.0, None, 1.0, 2.0, None]
    )["features"]["volume_ml"]


def test_a_feature_that_is_always_missing() -> None:
    """There is no range then, and nothing fails."""
    assert {"missing": 2, "min": None, "max": None, "sample": []} == profile_of([None, None])["features"][
        "volume_ml"
    ]


def test_no_rows_at_all() -> None:
    """All counts are 0."""
    profile = profile_of([])

    assert (0, {"bitter": 0, "sweet": 0}) == (profile["rows"], profile["classes"])
    assert {"missing": 0, "min": None, "max": None, "sample": []} == profile["features"]["volume_ml"]


def test_the_data_is_left_as_it_was() -> None:
    """Sorting happens on a copy."""
    columns: Columns = {"volume_ml": [3.0, 1.0, None], "sort": ["green", "black", None]}
    before = deepcopy(columns)
    profiles.profile(CUP, columns, ["sweet"] * 3)

    assert before == columns


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1000)), max_size=200))
def test_a_small_sample_is_the_data(volumes: list[float | None]) -> None:
    """Data up to the size of the sample is kept completely; only its order changes."""
    seen = profile_of(volumes)["features"]["volume_ml"]

    assert sorted(value for value in volumes if value is not None) == seen["sample"]
    assert len(volumes) == len(seen["sample"]) + seen["missing"]


@settings(deadline=None, max_examples=30)
@given(st.integers(number_figures.SAMPLE_SIZE - 2, 20_000), st.integers(0, 2**32 - 1))
def test_a_large_sample_keeps_the_quantiles(rows: int, seed: int) -> None:
    """It keeps a thousand values and both ends; no quantile moves by more than 2 in 999."""
    volumes = np.random.default_rng(seed).exponential(50, rows).round(1).clip(0, 1000).tolist()
    seen = profile_of(volumes)["features"]["volume_ml"]
    sample, ordered = seen["sample"], sorted(volumes)

    assert min(rows, number_figures.SAMPLE_SIZE) == len(sample)
    assert (ordered[0], ordered[-1]) == (sample[0], sample[-1]) == (seen["min"], seen["max"])
    assert sorted(sample) == sample
    assert set(sample) <= set(ordered)
    for probe in np.quantile(ordered, [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99]):
        low, high = bisect_left(sample, probe) / len(sample), bisect_right(sample, probe) / len(sample)
        true_low, true_high = bisect_left(ordered, probe) / rows, bisect_right(ordered, probe) / rows
        assert abs(low - true_low) <= 2 / (number_figures.SAMPLE_SIZE - 1)
        assert abs(high - true_high) <= 2 / (number_figures.SAMPLE_SIZE - 1)


# ------------------------------------------------------------------------------- live data against it


def trained(spec: Spec) -> tuple[dict[str, Any], Columns, list[str]]:
    """Return the profile of a dataset, its columns and its labels."""
    X, y = spec.load()
    columns, labels = spec.columns_of(X), y.tolist()
    return profiles.profile(spec, columns, labels), columns, labels


def resampled(columns: Columns, labels: list[str], n: int, rng: Any) -> tuple[dict[str, Any], list[str]]:
    """Draw rows of a dataset again."""
    rows = rng.integers(0, len(labels), n)
    return {name: [values[row] for row in rows] for name, values in columns.items()}, [
        labels[row] for row in rows
    ]


@pytest.mark.parametrize("n", [drift.MIN_ROWS, 500, 5_000])
@pytest.mark.parametrize("spec", CLASSIFIERS.values(), ids=list(CLASSIFIERS))
def test_false_alarms_are_rare(spec: Spec, n: int) -> None:
    """Of 200 windows drawn from the training data, at most 5 of 100 give an alarm."""
    profile, columns, labels = trained(spec)
    rng = np.random.default_rng(n)
    alarms = 0
    for _ in range(200):
        found = profiles.compare(spec, profile, *resampled(columns, labels, n, rng))
        assert all((item.state == "not enough data") == (item.rows < drift.MIN_ROWS) for item in found)
        alarms += any(item.state == "drifted" for item in found)

    assert alarms <= 10


def test_false_alarms_are_rare_of_a_number_and_of_mixed_features() -> None:
    """At most 5 of 100 windows of flights of the winter give an alarm; parts of a moment are tested too."""
    spec = SPECS["planes"]
    X, y = spec.load()
    columns, labels = spec.columns_of(X), y.tolist()
    answers = {"predicted": {"rows": len(labels), "sample": sorted(labels)}}
    profile = profiles.profile(spec, columns, labels) | answers
    rng = np.random.default_rng(5)
    found = [profiles.compare(spec, profile, *resampled(columns, labels, 500, rng)) for _ in range(100)]

    tested = {item.name for window in found for item in window if item.state != "not enough data"}
    assert {*spec.layout.texts, "predicted value"} == tested
    assert 5 >= sum(any(item.state == "drifted" for item in window) for window in found)


@pytest.mark.parametrize("spec", CLASSIFIERS.values(), ids=list(CLASSIFIERS))
def test_a_shift_by_one_standard_deviation_is_detected(spec: Spec) -> None:
    """With the least number of rows, in more than 9 of 10 windows, for each feature."""
    profile, columns, labels = trained(spec)
    rng = np.random.default_rng(3)
    for name, feature in spec.inputs.items():
        if kinds.categories(feature):
            continue
        deviation = float(np.nanstd([np.nan if value is None else value for value in columns[name]]))
        present = [row for row, value in enumerate(columns[name]) if value is not None]
        for shift in (-deviation, deviation):
            seen = 0
            for _ in range(200):
                rows = rng.choice(present, drift.MIN_ROWS)
                live = {key: [values[row] for row in rows] for key, values in columns.items()}
                live[name] = [value + shift for value in live[name]]
                said = [labels[row] for row in rows]
                states = {item.name: item.state for item in profiles.compare(spec, profile, live, said)}
                seen += states[name] == "drifted"
            assert seen > 180, f"{name}, moved by {shift:.2f}: {seen} of 200"


RARE_OF_TEN = ([5.0] * 90 + [3.0] * 10, [5.0] * 10 + [3.0] * 90)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ([5.0] * 100, [3.0] * 100),
        ([5.0] * 100, [7.0] * 100),
        RARE_OF_TEN,
        RARE_OF_TEN[::-1],
        ([1.0] * 97 + [0.0] * 3, [1.0] * 50 + [0.0] * 50),
        ([0.0] * 97 + [1.0] * 3, [1.0] * 50 + [0.0] * 50),
        ([0.0] * 30 + [float(n) for n in range(1, 71)], [-1.0] * 30 + [float(n) for n in range(1, 71)]),
        ([100.0] * 30 + [float(n) for n in range(70)], [101.0] * 30 + [float(n) for n in range(70)]),
    ],
    ids=["down", "up", "to the rare", "from the rare", "zeros", "ones", "the lowest", "the highest"],
)
def test_a_change_next_to_a_frequent_value_is_detected(before: list[float], now: list[float]) -> None:
    """Much of the training data has one value; the live data changes below or above it."""
    live: Columns = {"volume_ml": list(now), "sort": ["black"] * len(now)}
    found = {
        item.name: item
        for item in profiles.compare(CUP, profile_of(list(before)), live, ["sweet"] * len(now))
    }

    assert "drifted" == found["volume_ml"].state
    assert 0.25 < (found["volume_ml"].psi or 0)


def test_too_few_rows_say_how_many_more_are_needed() -> None:
    """The state is neither drifted nor stable."""
    spec = SPECS["iris"]
    profile, columns, labels = trained(spec)
    live = {name: values[:20] for name, values in columns.items()}

    for item in profiles.compare(spec, profile, live, labels[:20]):
        assert ("not enough data", 20, drift.MIN_ROWS - 20) == (item.state, item.rows, item.rows_needed)
        assert (None, None, None) == (item.p, item.psi, item.histogram)


def test_a_change_of_categories_and_classes_is_detected() -> None:
    """Missing values are not counted."""
    profile = profiles.profile(
        CUP,
        {"volume_ml": [1.0] * 100, "sort": ["black"] * 50 + ["green"] * 50},
        ["sweet"] * 50 + ["bitter"] * 50,
    )
    live: Columns = {"volume_ml": [1.0] * 100, "sort": ["white"] * 60 + [None] * 40}
    found = {item.name: item for item in profiles.compare(CUP, profile, live, ["sweet"] * 100)}

    assert {"volume_ml": "stable", "sort": "drifted", "predicted class": "drifted"} == {
        name: item.state for name, item in found.items()
    }
    assert 60 == found["sort"].rows
    assert found["sort"].histogram == drift.Histogram(
        ["black", "green", "white"], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]
    )


def test_the_tests_are_those_of_scipy() -> None:
    """Statistics and uncorrected p-values are equal; Kolmogorov's are asymptotic."""
    rng = np.random.default_rng(4)
    spec = SPECS["iris"]
    profile, columns, labels = trained(spec)
    live, said = resampled(columns, labels, 400, rng)
    live["petal_width_cm"] = [value + 0.15 for value in live["petal_width_cm"]]
    found = {item.name: item for item in profiles.compare(spec, profile, live, said)}
    raw = {}
    for name in spec.inputs:
        theirs = ks_2samp(profile["features"][name]["sample"], live[name], method="asymp")
        assert theirs.statistic == pytest.approx(found[name].statistic)
        raw[name] = theirs.pvalue
    counts = [
        [profile["classes"][name] for name in spec.target.texts],
        [said.count(name) for name in spec.target.texts],
    ]
    theirs = chi2_contingency(counts, correction=False)
    assert theirs.statistic == pytest.approx(found["predicted class"].statistic)
    raw["predicted class"] = theirs.pvalue
    corrected = multipletests(list(raw.values()))
    for name, p in zip(raw, corrected, strict=True):
        assert p == pytest.approx(found[name].p, abs=0.02)


def multipletests(p: list[float]) -> list[float]:
    """Correct p-values by Holm's method, by the book: the k-th smallest of m times m - k + 1."""
    order = np.argsort(p)
    steps = np.maximum.accumulate([p[index] * (len(p) - rank) for rank, index in enumerate(order)])
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1, steps)
    return [float(value) for value in corrected]


def test_the_stability_index() -> None:
    """It is 0 for the same shares, the sum of the formula for others, and finite for an empty bin."""
    same = drift.stability([10, 20, 30], [10, 20, 30], 60)
    assert (0.0, 0.0) == (same.psi, same.psi_low)
    e, a = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    by_hand = float(((a - e) * np.log(a / e)).sum())
    found = drift.stability((e * 1e6).tolist(), (a * 1e6).tolist(), 10**6)
    assert by_hand == pytest.approx(found.psi, rel=1e-4)
    assert by_hand == pytest.approx(found.psi_low, rel=0.01)
    assert np.isfinite(drift.stability([100, 0], [0, 100], 100).psi)


def test_bins_without_any_row_change_nothing() -> None:
    """A category that neither data has is no part of the index, nor of its mean by chance."""
    assert drift.stability([80, 20], [10, 40], 100) == drift.stability([80, 0, 20, 0], [10, 0, 40, 0], 100)


@pytest.mark.parametrize(("n", "m"), [(50, 112), (100, 112), (500, 112), (500, 1_000)])
def test_the_part_of_the_index_that_is_chance(n: int, m: int) -> None:
    """Of two samples of one population the index has about that mean, and seldom a bound above 0."""
    rng, found = np.random.default_rng(n + m), []
    for _ in range(400):
        old = np.sort(rng.normal(size=m))
        edges = drift._edges(old)
        before, now = (drift._binned(values, edges) for values in (old, rng.normal(size=n)))
        found.append(drift.stability(before, now, m))

    assert (drift.PSI_BINS - 1) * (1 / n + 1 / m) == pytest.approx(found[0].psi_by_chance)
    assert np.mean([item.psi for item in found]) == pytest.approx(found[0].psi_by_chance, rel=0.15)
    assert np.mean([item.psi_low > 0 for item in found]) <= 0.08
    assert np.mean([item.psi_low >= drift.MIN_PSI for item in found]) <= 0.01


def test_the_lower_bound_is_below_the_index_of_the_populations() -> None:
    """In at least 9 of 10 windows; the plain index is above it in most."""
    rng, e, a = np.random.default_rng(8), np.full(10, 0.1), np.linspace(0.06, 0.14, 10)
    true = float(((a - e) * np.log(a / e)).sum())
    found = [
        drift.stability(rng.multinomial(300, e).tolist(), rng.multinomial(100, a).tolist(), 300)
        for _ in range(500)
    ]

    assert np.mean([item.psi_low <= true for item in found]) >= 0.9
    assert np.mean([item.psi > true for item in found]) > 0.9
    assert np.mean([item.psi - item.psi_by_chance for item in found]) == pytest.approx(true, rel=0.25)


def test_both_conditions_stand_beside_the_verdict() -> None:
    """The figures that decided, with their limits; one that fails is enough for no drift."""
    profile = profile_of([float(n) for n in range(100)])
    spread = [float(n) for n in range(0, 100, 2)]
    moved = [value + 60 for value in spread]
    for volumes, state in ((spread, "stable"), (moved, "drifted")):
        live: Columns = {"volume_ml": list(volumes), "sort": ["black"] * 50}
        item = profiles.compare(CUP, profile, live, ["sweet"] * 50)[0]
        assert item.p is not None
        assert item.psi_low is not None
        p, size = item.conditions
        assert ("p", item.p, 0.05, item.p < 0.05) == (p.name, p.value, p.limit, p.holds)
        assert ("psi_low", item.psi_low, 0.1, item.psi_low >= 0.1) == (
            size.name,
            size.value,
            size.limit,
            size.holds,
        )
        assert (state == "drifted") is (p.holds and size.holds)
        assert state == item.state


def test_a_constant_feature_is_no_trouble() -> None:
    """It is stable, and its histogram has a width."""
    profile = profile_of([5.0] * 100)
    live: Columns = {"volume_ml": [5.0] * 80, "sort": ["black"] * 80}
    found = {item.name: item for item in profiles.compare(CUP, profile, live, ["sweet"] * 80)}

    assert {"stable"} == {item.state for item in found.values()}
    histogram = found["volume_ml"].histogram
    assert histogram is not None
    assert histogram.bins[0] < histogram.bins[-1]
    assert 1 == pytest.approx(sum(histogram.live))


def test_an_outlier_leaves_the_histogram_readable() -> None:
    """Bins divide the range of the training data; values outside are one share at each side."""
    profile = profile_of([float(n) for n in range(1, 101)])
    volumes = [float(n) for n in range(1, 97)] + [0.5, 0.7, 0.9, 900.0]
    live: Columns = {"volume_ml": list(volumes), "sort": ["black"] * 100}
    histogram = profiles.compare(CUP, profile, live, ["sweet"] * 100)[0].histogram

    assert histogram is not None
    assert (1.0, 100.0) == (histogram.bins[0], histogram.bins[-1])
    assert (0.03, 0.01) == (histogram.below, histogram.above)
    assert 0.96 == pytest.approx(sum(histogram.live))
    assert max(histogram.live) < 0.1


def test_features_that_are_not_in_the_profile_are_ignored() -> None:
    """The version was trained before the spec had the feature."""
    profile = profile_of([5.0] * 100)
    del profile["features"]["sort"]
    live: Columns = {"volume_ml": [5.0] * 80, "sort": ["black"] * 80}

    assert ["volume_ml", "predicted class"] == [
        item.name for item in profiles.compare(CUP, profile, live, ["sweet"] * 80)
    ]
