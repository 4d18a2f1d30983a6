"""The profile of training data: small, plain, and true to the distribution."""

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

from models_store import catalog
from models_store.spec import Columns, Features, Spec, category, number
from prediction import drift

SPECS = catalog.load()


class Cup(Features):
    """One cup of tea."""

    volume_ml: float | None = number("Volume", unit="ml", low=0, high=1000, example=200, optional=True)
    sort: Literal["black", "green", "white"] | None = category("Sort", example="black", optional=True)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return nothing: only the schema is looked at."""
    raise NotImplementedError


CUP = Spec("cup", "Taste of a cup", Cup, ("bitter", "sweet"), load, lambda seed: seed)


def profile_of(volumes: list[float | None], sorts: list[str | None] | None = None) -> dict[str, Any]:
    """Summarise cups that all are sweet."""
    columns: Columns = {"volume_ml": list(volumes), "sort": list(sorts or ["black"] * len(volumes))}
    return drift.profile(CUP, columns, ["sweet"] * len(volumes))


@pytest.mark.parametrize("spec", SPECS.values(), ids=list(SPECS))
def test_the_profile_of_a_dataset(spec: Spec) -> None:
    """Rows, classes and each feature are summarised, and survive JSON."""
    X, y = spec.load()
    columns, labels = spec.columns_of(X), y.tolist()
    profile = drift.profile(spec, columns, labels)

    assert len(labels) == profile["rows"]
    assert y.value_counts().to_dict() == profile["classes"]
    assert list(spec.classes) == list(profile["classes"])
    assert list(spec.inputs) == list(profile["features"])
    assert profile == json.loads(json.dumps(profile))
    for name, feature in spec.inputs.items():
        seen = profile["features"][name]
        assert X[name].isna().sum() == seen["missing"]
        if feature.categories:
            assert X[name].value_counts().to_dict() == seen["counts"]
        else:
            assert (X[name].min(), X[name].max()) == (seen["min"], seen["max"])
            assert sorted(X[name].dropna()) == seen["sample"]


def test_counts_list_what_does_not_occur() -> None:
    """Classes and categories of the spec have a count of 0 where there are no rows of them."""
    profile = profile_of([1.0, 2.0, 3.0], ["green", None, "green"])

    assert {"bitter": 0, "sweet": 3} == profile["classes"]
    assert {"missing": 1, "counts": {"black": 0, "green": 2, "white": 0}} == profile["features"]["sort"]


def test_missing_values_are_counted_and_not_sampled() -> None:
    """What is missing lies in no range."""
    assert {"missing": 2, "min": 1.0, "max": 3.0, "sample": [1.0, 2.0, 3.0]} == profile_of(
        [3.0, None, 1.0, 2.0, None]
    )["features"]["volume_ml"]


def test_a_feature_that_is_always_missing() -> None:
    """There is no range then, and nothing fails."""
    assert {"missing": 2, "min": None, "max": None, "sample": []} == profile_of([None, None])["features"][
        "volume_ml"
    ]


def test_no_rows_at_all() -> None:
    """The profile of nothing counts nothing."""
    profile = profile_of([])

    assert (0, {"bitter": 0, "sweet": 0}) == (profile["rows"], profile["classes"])
    assert {"missing": 0, "min": None, "max": None, "sample": []} == profile["features"]["volume_ml"]


def test_the_data_is_left_as_it_was() -> None:
    """Sorting happens on a copy."""
    columns: Columns = {"volume_ml": [3.0, 1.0, None], "sort": ["green", "black", None]}
    before = deepcopy(columns)
    drift.profile(CUP, columns, ["sweet"] * 3)

    assert before == columns


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1000)), max_size=200))
def test_a_small_sample_is_the_data(volumes: list[float | None]) -> None:
    """Up to the sample's size nothing is lost but the order."""
    seen = profile_of(volumes)["features"]["volume_ml"]

    assert sorted(value for value in volumes if value is not None) == seen["sample"]
    assert len(volumes) == len(seen["sample"]) + seen["missing"]


@settings(deadline=None, max_examples=30)
@given(st.integers(drift.SAMPLE_SIZE - 2, 20_000), st.integers(0, 2**32 - 1))
def test_a_large_sample_keeps_the_quantiles(rows: int, seed: int) -> None:
    """A thousand values remain, both ends among them, and no quantile moves by more than 2 in 999."""
    volumes = np.random.default_rng(seed).exponential(50, rows).round(1).clip(0, 1000).tolist()
    seen = profile_of(volumes)["features"]["volume_ml"]
    sample, ordered = seen["sample"], sorted(volumes)

    assert min(rows, drift.SAMPLE_SIZE) == len(sample)
    assert (ordered[0], ordered[-1]) == (sample[0], sample[-1]) == (seen["min"], seen["max"])
    assert sorted(sample) == sample
    assert set(sample) <= set(ordered)
    for probe in np.quantile(ordered, [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99]):
        low, high = bisect_left(sample, probe) / len(sample), bisect_right(sample, probe) / len(sample)
        true_low, true_high = bisect_left(ordered, probe) / rows, bisect_right(ordered, probe) / rows
        assert abs(low - true_low) <= 2 / (drift.SAMPLE_SIZE - 1)
        assert abs(high - true_high) <= 2 / (drift.SAMPLE_SIZE - 1)
