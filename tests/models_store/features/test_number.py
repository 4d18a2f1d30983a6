"""Numbers: words, and the draw from the range."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models_store.features.number import Number


def test_a_number_is_described_with_its_range() -> None:
    """With the unit, if it has one."""
    assert "a number from 0 to 9.5 cm" == Number(low=0, high=9.5, unit="cm").expected
    assert "a number from 0 to 1 or null" == Number(low=0, high=1, optional=True).expected


def test_numbers_are_drawn_from_the_whole_range() -> None:
    """From end to end."""
    drawn = Number(low=-5, high=5).draw(1000, np.random.default_rng(0), [])

    assert -5 <= min(drawn) < -4.9
    assert 4.9 < max(drawn) <= 5


@pytest.mark.parametrize(
    ("values", "optional", "is_plain"),
    [
        ([0.0, 1.0], False, True),
        ([0.0, 1.5], False, False),
        ([0.0, np.inf], False, False),
        ([0.0, np.nan], False, False),
        ([0.0, np.nan], True, True),
        ([-0.5, np.nan], True, False),
        ([0, 1], False, False),
        (["0"], False, False),
    ],
)
def test_a_column_is_plain_if_each_value_is_a_float_of_the_range(
    values: list[object], optional: bool, is_plain: bool
) -> None:
    """All others are read one by one, in the words of the service."""
    assert is_plain is Number(low=0, high=1, optional=optional).is_plain(pd.Series(values))
