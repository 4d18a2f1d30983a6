"""How wide intervals shall be by the labels that came since training. Pure functions, no I/O.

A width is a multiple of the one that training calibrated. Labels are counted by the least width that would
have held them, so a width follows from sums, whatever the order of the labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil, log2

STEPS = 8
"""Steps of a width from one power of two to the next."""

MOST = STEPS
"""Widths lie between 1/2 and 2, that is `MOST` steps around 1: wrong labels can't move them further."""

BEYOND = MOST + 1
"""The step of a label that no width would hold."""

PREFIX = "held from/"
NAMES = tuple(f"{PREFIX}{step}" for step in range(-MOST, BEYOND + 1))
"""The names of the sums of labels, by the step of the least width that holds them."""

RATE = 0.02
"""How far a label moves the width, in powers of two: a miss by 0.018 up, a hit by 0.002 down ..."""

MOST_LABELS = 25
"""... and so far all labels of an hour move it together: they may have one cause."""


def count(size: float, half: float) -> dict[str, int]:
    """Return what a label adds to the sums.

    Parameters
    ----------
    size, half
        The size of the error, and half of the interval as training calibrated it.
    """
    least, most = 2.0 ** (-MOST / STEPS), 2.0 ** (MOST / STEPS)
    step = -MOST
    if size > most * half:
        step = BEYOND
    elif size > least * half:
        step = min(ceil(STEPS * log2(size / half) - 1e-9), MOST)
    return {f"{PREFIX}{step}": 1}


def width(pieces: Iterable[Mapping[str, int]], level: float) -> float:
    """Return how many times as wide as calibrated an interval shall be.

    Parameters
    ----------
    pieces
        The sums of each hour, by name, in the order of the hours.

    Notes
    -----
    It is adaptive conformal inference: a miss makes the next intervals wider, a hit makes them narrower, by
    amounts that balance if the share of misses is 1 - level (Gibbs and Candès, Adaptive conformal inference
    under distribution shift, NeurIPS 2021). They move the level. A level near 1 has no quantile of a few
    hundred errors, so here the logarithm of the width moves, which has a bound: the quantile is tracked
    (Angelopoulos, Candès and Tibshirani, Conformal PID control for time series prediction, NeurIPS 2023).
    As long as no bound is reached, the shares of misses of the hours, weighted by how far they may move the
    width, have a mean within 2 / (the sum of the weights) of 1 - level, because the moves add up to at
    most 2. Each hour is judged by the width that the hours before it give, and not by the one that was
    answered: labels that come late must not be taken for misses of the width of today.
    """
    found = 0.0
    for piece in pieces:
        rows = {int(name.removeprefix(PREFIX)): n for name, n in piece.items() if name in NAMES and n > 0}
        n = sum(rows.values())
        if n:
            missed = sum(each for step, each in rows.items() if step > _nearest(found))
            found += RATE * min(n, MOST_LABELS) * (missed / n - (1 - level))
            found = min(max(found, -MOST / STEPS), MOST / STEPS)
    return float(2.0 ** (_nearest(found) / STEPS))


def _nearest(power: float) -> int:
    """Return the nearest step: every worker comes to the same one of few widths."""
    return round(STEPS * power)
