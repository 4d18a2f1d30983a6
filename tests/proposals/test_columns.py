"""Columns as features, and the ones that are left out."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from models_store.features.category import Category
from models_store.features.flag import Flag
from models_store.features.integer import Integer
from models_store.features.moment import Moment
from models_store.features.number import Number
from models_store.features.text import Text
from prediction.proposals import columns, kinds
from prediction.proposals.columns import Column


def described(values: list[Any], header: str = "what", zone: str = "UTC", kept: bool = False) -> Column:
    """Describe a column of a table."""
    return columns.describe(header, "what", kinds.read(values), zone, kept)


@pytest.mark.parametrize(
    ("values", "feature"),
    [
        (["1.5", "", "4.5"], Number(low=0, high=20, example=4.5, optional=True)),
        (["1", "2", "2"], Integer(low=0, high=10, example=2)),
        (["true", "false"], Flag(example=True)),
        (["a"] * 9 + ["b"] * 8, Category(categories=("a", "b"), example="a")),
        ([f"v{n % 25}" for n in range(200)], Category(open=True, example="v0")),
        (["a b c d e", "f g h i j k l", "m n o p"], Text(max_length=100, example="a b c d e")),
        (["2024-01-31", "2024-03-02"], Moment(parts=("weekday", "month"), example="2024-01-31")),
    ],
)
def test_a_column_becomes_a_feature_of_its_kind(values: list[Any], feature: Any) -> None:
    """With its range, its categories or its length; optional where a value is missing."""
    found = described(values)

    assert (feature.kind, feature.optional) == (found.feature and found.feature.kind, "" in values)
    assert found.feature is not None
    assert vars(feature) == {**vars(found.feature), "name": "", "header": "", "description": ""}


@pytest.mark.parametrize(
    ("values", "header", "reason"),
    [
        (["", None], "what", "it has no values"),
        (["x", "x", ""], "what", "it has the same value in each row, x"),
        (["a1", "b2", "c3"], "what", "nearly each row has another value"),
        (["5", "3", "9"], "customerID", "each row has another number"),
        (["5", "3", "9"], "order_id", "each row has another number"),
        (["0", "1", "2", "3"], "column_1", "each row has another number"),
        ([f"v{n // 2}" for n in range(100)], "what", "its 50 values are in fewer than 5 rows each"),
        ([[1], [2]], "what", "it holds list"),
    ],
)
def test_a_column_that_tells_nothing_of_new_rows_is_left_out(
    values: list[Any], header: str, reason: str
) -> None:
    """And the reason is said."""
    found = described(values, header)

    assert found.feature is None
    assert found.reason.startswith(reason)


def test_a_column_that_only_looks_like_a_name_of_rows_may_be_kept() -> None:
    """If the user says so; and different numbers are no name by themselves."""
    assert described(["5", "3", "9"], "order_id", kept=True).feature is not None
    assert described(["5", "3", "9"], "population").feature is not None


def test_naive_times_are_of_the_zone_and_stored_as_what_they_are() -> None:
    """Parquet has times of UTC; dates stay dates."""
    found = described(["2024-01-31 12:30:00", "2024-07-31 13:00:00"], zone="Europe/Paris")

    assert isinstance(found.feature, Moment)
    assert (True, "Europe/Paris", "2024-01-31T12:30:00+01:00") == (
        found.feature.naive,
        found.feature.zone,
        found.feature.example,
    )
    assert [
        datetime(2024, 1, 31, 11, 30, tzinfo=UTC),
        datetime(2024, 7, 31, 11, tzinfo=UTC),
    ] == found.values
    assert [date(2024, 1, 31), None, date(2024, 2, 1)] == described(["2024-01-31", "", "2024-02-01"]).values


def test_the_frequent_values_of_an_open_category_get_columns() -> None:
    """Those of five rows or more, at most thirty."""
    few = ["a"] * 5 + ["b"] * 4 + [None] * 9

    assert ["a"] == columns.frequent(few)
    assert 30 == len(columns.frequent([*few, *(f"v{n % 40}" for n in range(400))]))
