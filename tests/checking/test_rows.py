"""The first bad rows of a dataset, and a sample of the good ones."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest

from models_store.catalog import iris
from prediction.checking import rows


@pytest.fixture
def data() -> tuple[pd.DataFrame, pd.Series]:
    """The irises."""
    return iris.load()


def test_bad_rows_and_labels_are_listed_by_number(data: tuple[pd.DataFrame, pd.Series]) -> None:
    """All places of a row; those after them too."""
    X, y = data
    X.loc[3, ["sepal_length_cm", "petal_width_cm"]] = [-1.0, None]
    y[7] = "rose"
    seen = rows.look(iris.SPEC, X, y)

    assert ["row 3", "row 3", "row 7"] == [each.partition(":")[0] for each in seen.faults]
    assert "row 3: sepal_length_cm must be" in seen.faults[0]
    assert "the label 'rose' is not one of setosa" in seen.faults[2]
    assert 148 == len(seen.good)


def test_ten_are_enough(data: tuple[pd.DataFrame, pd.Series]) -> None:
    """A wrong unit is in every row."""
    X, y = data
    seen = rows.look(iris.SPEC, X * 100, y)

    assert rows.MOST == len(seen.faults)
    assert seen.checked < 150


def test_a_sample_has_rows_of_each_class(data: tuple[pd.DataFrame, pd.Series]) -> None:
    """As many of each, if there are."""
    X, y = (pd.concat([each] * 5, ignore_index=True) for each in data)
    columns, labels = rows.sample(iris.SPEC, rows.look(iris.SPEC, X, y))

    assert {"setosa": 100, "versicolor": 100, "virginica": 100} == Counter(labels)
    assert {300} == {len(values) for values in columns.values()}
