"""Whole numbers: 3.0 is one, 3.5, "3" and true are none, and the range is one that a float holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models_store.errors import InvalidInput
from models_store.features.integer import EXACT, Integer
from models_store.validation import Validator
from tests.models_store.features.rows import validator

FEATURE = Integer(name="a", low=-5, high=1_000_000, unit="mi")


@pytest.fixture(scope="module")
def rows() -> Validator[Any]:
    """Validate rows of one whole number."""
    return validator(int, FEATURE)


@pytest.mark.parametrize("raw", ["3", "3.0", "0.3e1", "3.00"])
def test_a_whole_number_is_taken_however_it_is_written(rows: Validator[Any], raw: str) -> None:
    """It becomes an integer of Python, from JSON and from objects."""
    found = rows.row(b'{"a": %s}' % raw.encode()).a

    assert (3, int) == (found, type(found))
    assert (3, int) == (rows.object({"a": 3.0}).a, type(rows.object({"a": 3.0}).a))


@pytest.mark.parametrize(
    "raw",
    [
        *("3.5", '"3"', "true", "null", "1e400", "1000001", "1" * 40, "[3]"),
        *("3.0000000001", "1e-10", "999999.9999999"),
    ],
)
def test_nothing_else_is_a_whole_number(rows: Validator[Any], raw: str) -> None:
    """One message says what would be right."""
    with pytest.raises(InvalidInput) as refused:
        rows.row(b'{"a": %s}' % raw.encode())

    assert [{"loc": ["a"], "msg": "must be a whole number from -5 to 1000000 mi"}] == refused.value.detail


@pytest.mark.parametrize("high", [EXACT + 1, 1.5, True, None])
def test_a_range_is_of_integers_that_a_float_holds(high: Any) -> None:
    """Beyond 2**53 two integers would be one number."""
    assert ["integers up to" in words for words in Integer(low=0, high=high).faults(int)] == [True]
    assert [] == Integer(low=-EXACT, high=EXACT).faults(int)


def test_whole_numbers_are_drawn_with_both_ends() -> None:
    """The proof sees the whole range."""
    drawn = Integer(low=1, high=3).draw(200, np.random.default_rng(0), [])

    assert {1, 2, 3} == set(drawn)
