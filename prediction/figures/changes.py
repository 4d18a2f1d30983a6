"""Whether a figure of a window differs from the same figure of rows that were not trained on.

Pure functions, no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from models_store.targets.costs import Cost
from prediction.figures import deficit
from prediction.figures.costs import MeanCost
from prediction.figures.scores import Proportion, wilson_ends

LIMIT = 0.0025
"""Of 100 models that are as in training, at most one ever raises an alarm: half by chance, upwards or
downwards ..."""

DOUBT = 2.807
"""... and half because the figure of the training is off: its 99.5 % interval."""

LARGE = 1.5
"""A difference matters if the larger figure is at least so many times the smaller one ..."""

LARGE_SHARE = 0.05
"""... or if two shares differ by more than this."""

AS_TRAINED, BELOW, ABOVE = "as in training", "below training", "above training"


@dataclass(frozen=True)
class _Known:
    """A mean of the training, both ends of its interval, and the variance of one row; no row exceeds 1."""

    mean: float
    low: float
    high: float
    variance: float


def of_shares(now: Proportion | None, then: Proportion | None) -> str | None:
    """Compare a share with that of the training; None if one of the two is missing."""
    if now is None or then is None:
        return None
    likely = (then.value * then.n + 1) / (then.n + 2)  # no share is known to be 0 or 1
    known = _Known(then.value, *wilson_ends(then.value, then.n, DOUBT), likely * (1 - likely))
    is_large = _is_large(now.value, then.value) or abs(now.value - then.value) > LARGE_SHARE
    return _state(now.value, now.n, known) if is_large else AS_TRAINED


def of_costs(cost: Cost, now: MeanCost | None, then: MeanCost | None) -> str | None:
    """Compare a mean cost with that of the training; None if one of the two is missing.

    The interval of `then` is taken as one of 95 %.
    """
    if now is None or then is None:
        return None
    top, wider = max(cost.false_alarm, cost.miss), DOUBT / 1.96
    mean, low, high = (each / top for each in (then.value, then.low, then.high))
    # Of all costs with this mean those vary most of which each is the larger one or none.
    known = _Known(mean, mean - wider * (mean - low), mean + wider * (high - mean), mean * (1 - mean))
    return _state(now.value / top, now.n, known) if _is_large(now.value, then.value) else AS_TRAINED


def _is_large(one: float, other: float) -> bool:
    return one != other and max(one, other) >= LARGE * min(one, other)


def _state(mean: float, n: int, known: _Known) -> str:
    """Test whether the mean of n rows is another one, for any number of looks; see `deficit.judge`."""
    gap = n * (mean - known.mean)
    doubt = n * (known.high - known.mean if gap > 0 else known.mean - known.low)
    beyond = sqrt(gap**2 - doubt**2) if abs(gap) > doubt else 0.0
    if deficit.p_of_sum(beyond, n * known.variance) > LIMIT:
        return AS_TRAINED
    return ABOVE if gap > 0 else BELOW
