"""The limits of the gate that a spec may set, one class a kind of target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class GateRules:
    """The limits for a candidate: it may replace the champion if it is not worse by any rule.

    Parameters
    ----------
    metric
        The metric to compare, in addition to log-loss.
    metric_tolerance
        How far the metric may fall, absolute.
    log_loss_tolerance
        How far log-loss may rise, absolute, in nats.
    recall_floor
        The least recall of each class.
    margin
        A candidate must be shown to lose less accuracy than this, absolute; if the target declares costs,
        less of the share of the cost that is saved.
    significance
        The probability of error with which that must be shown.
    min_rows
        A rule with fewer rows does not vote.
    """

    metric: Literal["macro_f1", "accuracy"] = "macro_f1"
    metric_tolerance: float = 0.05
    log_loss_tolerance: float = 0.05
    recall_floor: float = 0.7
    margin: float = 0.1
    significance: float = 0.05
    min_rows: int = 10


@dataclass(frozen=True)
class QuantityRules:
    """The limits for a candidate that predicts a quantity. Tolerances are shares of the champion's figure.

    Parameters
    ----------
    mae_tolerance
        How far the mean absolute error may rise, also above the best one so far.
    bias_tolerance
        How far the mean error may move away from 0, as a share of the champion's mean absolute error.
    coverage_tolerance
        How far the share of true numbers in their intervals may lie below the level, absolute.
    interval_tolerance
        How far the interval score may rise: it charges for the width and for each miss.
    significance
        A candidate must be shown to be within `mae_tolerance`, with at most this probability of error.
    min_rows
        A rule with fewer rows does not vote.
    """

    mae_tolerance: float = 0.1
    bias_tolerance: float = 0.25
    coverage_tolerance: float = 0.1
    interval_tolerance: float = 0.25
    significance: float = 0.05
    min_rows: int = 10
