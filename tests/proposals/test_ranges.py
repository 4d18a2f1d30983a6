"""Guessed ranges are round and wide."""

from __future__ import annotations

import pytest

from prediction.proposals import ranges


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([32.1, 59.6], (0, 200)),
        ([0, 1], (0, 1)),
        ([0.2, 0.9], (0, 1)),
        ([-3.5, 7], (-20, 50)),
        ([-4, -1], (-20, 0)),
        ([1_000_000], (0, 5_000_000)),
        ([0.0001, 1.2], (0, 5)),
        ([-0.002, 0.0], (-0.01, 0)),
    ],
)
def test_a_range_holds_several_times_the_numbers(
    numbers: list[float], expected: tuple[float, float]
) -> None:
    """It ends at 0 where no number is on that side; 0 and 1 keep their range."""
    assert expected == ranges.guess(numbers)
