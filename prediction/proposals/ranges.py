"""Ranges of numbers, guessed from those that a table has: wide, because a value outside is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence

FACTOR = 3
STEPS = (1, 2, 5, 10)


def guess(numbers: Sequence[float]) -> tuple[float, float]:
    """Return round ends, several times as far from 0 as the numbers; 0 where no number is on that side.

    Numbers that are only 0 and 1 keep this range, and so do shares of at most 1.
    """
    low, high = min(numbers), max(numbers)
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    return (-_above(-low * FACTOR) if low < 0 else 0.0), (_above(high * FACTOR) if high > 0 else 0.0)


def _above(number: float) -> float:
    """Return the next number of 1, 2, 5, 10, 20 and so on."""
    power: float = 10.0 ** math.floor(math.log10(number))
    step = next(step for step in STEPS if step * power >= number * (1 - 1e-9))
    return step * power if power >= 1 else round(step * power, 12)
