"""What the errors of a classifier cost, on labelled rows. Pure functions, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models_store.targets.costs import Cost
from prediction.figures.scores import Proportion, wilson, wilson_ends

MAX_Z = 8.0
"""A p-value is never given as less than that of so many standard deviations."""


@dataclass(frozen=True)
class Spent:
    """What answers cost on some rows.

    Parameters
    ----------
    per_row
        The mean cost of a row.
    saved
        1 - cost / the cost of the same answer to all rows, whichever answer is cheaper; below 0 if that
        is cheaper than the model. None if all rows are of one class.
    """

    per_row: float
    saved: float | None


@dataclass(frozen=True)
class MeanCost:
    """The mean cost of n labelled rows, and its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


def spent(cost: Cost, is_positive: NDArray[np.bool_], is_alarm: NDArray[np.bool_]) -> Spent:
    """Add up the costs of answers."""
    rows = len(is_positive)
    false_alarms, misses = int((is_alarm & ~is_positive).sum()), int((is_positive & ~is_alarm).sum())
    total = cost.false_alarm * false_alarms + cost.miss * misses
    least = simple(cost, is_positive)
    return Spent(total / rows, 1 - total / least if least else None)


def simple(cost: Cost, is_positive: NDArray[np.bool_]) -> float:
    """Return the cost of the same answer to all rows, whichever answer is cheaper."""
    rows, positives = len(is_positive), int(is_positive.sum())
    return float(min(cost.false_alarm * (rows - positives), cost.miss * positives))


def mean(cost: Cost, label: str, confusion: Mapping[tuple[str, str], int]) -> MeanCost | None:
    """Return the mean cost from counts by predicted class and label; None for no rows.

    Notes
    -----
    The interval joins the Wilson intervals of both shares of errors by the squares of their distances
    (Zou and Donner, Construction of confidence limits about effect measures, Statistics in Medicine 27,
    2008).
    """
    rows = sum(confusion.values())
    errors = {"false_alarm": 0, "miss": 0}
    for (predicted, of_row), count in confusion.items():
        if label in (predicted, of_row) and predicted != of_row:
            errors["false_alarm" if predicted == label else "miss"] += count
    shares = [(getattr(cost, name), wilson(count, rows)) for name, count in errors.items()]
    known: list[tuple[float, Proportion]] = [(each, share) for each, share in shares if share]
    if not known:
        return None
    value = sum(each * share.value for each, share in known)
    down = sqrt(sum((each * (share.value - share.low)) ** 2 for each, share in known))
    up = sqrt(sum((each * (share.high - share.value)) ** 2 for each, share in known))
    return MeanCost(value, max(0.0, value - down), value + up, rows)


class Alone(NamedTuple):
    """A kind of error: its cost, and the shares of rows where the new or the old model alone makes it."""

    cost: float
    worse: float
    better: float


def alone(
    cost: Cost, is_positive: NDArray[np.bool_], old: NDArray[np.bool_], new: NDArray[np.bool_]
) -> list[Alone]:
    """Compare the errors of two models on the same rows; `old` and `new` say whether they are right."""
    rows, worse, better = len(is_positive), old & ~new, new & ~old
    return [
        Alone(weight, int((worse & part).sum()) / rows, int((better & part).sum()) / rows)
        for weight, part in ((cost.false_alarm, ~is_positive), (cost.miss, is_positive))
    ]


def p_of_dearer(errors: Sequence[Alone], rows: int, limit: float) -> float:
    """Return the p-value of "the new model costs more than the old one by `limit` a row or more".

    Notes
    -----
    The difference is a weighted sum of four shares of the rows: false alarms and misses of one model alone.
    Its bound is joined from the Wilson bounds of these shares, as in `mean`; p belongs to the bound that is
    the limit. A rare miss that did not occur on these rows counts so too.
    """
    more = sum(each.cost * (each.worse - each.better) for each in errors)
    if more >= limit:  # the lower bound is compared, that is the upper one of the reverse
        back = [Alone(each.cost, each.better, each.worse) for each in errors]
        return 1 - p_of_dearer(back, rows, -limit) if more > limit else 0.5

    def bound(z: float) -> float:
        gaps = [each.cost * (wilson_ends(each.worse, rows, z)[1] - each.worse) for each in errors]
        gaps += [each.cost * (each.better - wilson_ends(each.better, rows, z)[0]) for each in errors]
        return more + sqrt(sum(gap**2 for gap in gaps))

    low, high = 0.0, MAX_Z
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if bound(middle) < limit else (low, middle)
    return NormalDist().cdf(-low)
