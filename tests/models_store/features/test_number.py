"""Numbers: words, and the draw from the range."""

from __future__ import annotations

import numpy as np

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
