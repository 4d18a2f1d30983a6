"""A quantity in figures: metrics of answers, and the rules of the gate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.targets.intervals import QuantityAnswers
from models_store.targets.quantity import Quantity
from prediction.figures import adaptive, drift, errors
from prediction.figures.drift import Drift
from prediction.figures.errors import QuantityMetrics
from prediction.figures.gate import Comparison, Part, Rule, TargetRules

LOSS = "mae"
"""The metric that never rises far above the best one so far."""

ADAPTS_BY: Sequence[str] = adaptive.NAMES
"""The sums of labels that change the width of intervals."""

WORDS = "mean absolute error"


def width(target: Quantity, sums: Iterable[Mapping[str, int]]) -> float:
    """Return how many times as wide as calibrated an interval shall be."""
    return adaptive.width(sums, target.level)


def metrics(target: Quantity, labels: Sequence[str], answers: QuantityAnswers) -> QuantityMetrics:
    """Compare labels with answers."""
    return errors.metrics(target.as_y(labels), answers, target.level)


def compare(profile: Mapping[str, Any], predicted: Sequence[float]) -> Drift:
    """Compare live answers with a sample of the answers to rows that were not trained on."""
    known = profile.get("predicted", {"rows": 0, "sample": []})
    return drift.kolmogorov_smirnov("predicted value", known["rows"], known["sample"], predicted)


def table(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures of a training in words, for a table."""
    words = {
        "mean absolute error": f"{metrics['mae']:.4g} on the holdout",
        "bias": f"{metrics['bias']:.4g}",
        "RMSE": f"{metrics['rmse']:.4g}",
        "R2": f"{metrics['r2']:.3f}" if "r2" in metrics else "",
        "coverage": f"{metrics['coverage']:.1%} of the intervals hold the number, mean width",
    }
    words["coverage"] += f" {metrics['width']:.4g}"
    return {name: text for name, text in words.items() if text}


def rules(target: Quantity) -> TargetRules:
    """Return the rules of the gate.

    One row of feedback must not decide by any of them.
    """
    return TargetRules(
        metrics=partial(metrics, target),
        checks=(
            _error_near_the_best,
            partial(_error_shown_not_to_rise, target),
            _bias_within_tolerance,
            partial(_intervals_hold_the_numbers, target),
            _intervals_no_worse,
        ),
        leave_out=partial(_leave_out, target),
        loss=WORDS,
    )


def _error_near_the_best(compared: Comparison) -> Iterator[Rule]:
    """The mean absolute error may rise by a share of the best one so far.

    The reference is not only the champion: otherwise small losses of many runs would add up.
    """
    best = min(compared.champion.mae, compared.part.best_loss)
    after = compared.candidate.mae
    limit = best * (1 + compared.limits.mae_tolerance)
    yield Rule(WORDS, _is_at_most(after, limit), best, after, compared.rows, None)


def _error_shown_not_to_rise(target: Quantity, compared: Comparison) -> Iterator[Rule]:
    """The candidate must be shown not to be worse than the champion by the tolerance or more.

    "No significant difference" would be no rule: on few rows no difference is significant. Labels of
    clients are often too few to show anything, even of an equal model. Then this rule does not vote on
    them: the dataset's rows must show it.
    """
    before, after = compared.champion.mae, compared.candidate.mae
    share = compared.limits.mae_tolerance
    differences, limit = _differences(target, compared.part), before * share
    p = errors.p_of_rise(differences, limit)
    passed: bool | None = p <= compared.limits.significance
    name = f"{WORDS} within {share:.0%} of the champion's"
    if not passed and compared.part.is_feedback and not errors.can_show(differences, limit):
        passed = None
    yield Rule(name, passed, before, after, compared.rows, p)


def _bias_within_tolerance(compared: Comparison) -> Iterator[Rule]:
    """The mean error may move away from 0 by a share of the champion's mean absolute error."""
    before, after = compared.champion.bias, compared.candidate.bias
    limit = abs(before) + compared.limits.bias_tolerance * compared.champion.mae
    yield Rule("bias", _is_at_most(abs(after), limit), before, after, compared.rows, None)


def _intervals_hold_the_numbers(target: Quantity, compared: Comparison) -> Iterator[Rule]:
    """Coverage may lie below the level, or below the champion's where that is lower, by the tolerance."""
    before, after = compared.champion.coverage, compared.candidate.coverage
    floor = min(target.level, before) - compared.limits.coverage_tolerance
    passed = _is_at_most(floor, after) and (after > 0 or floor <= 0)
    yield Rule("coverage of the intervals", passed, before, after, compared.rows, None)


def _intervals_no_worse(compared: Comparison) -> Iterator[Rule]:
    """The interval score may rise by a share: an interval that holds everything says nothing."""
    before, after = compared.champion.interval_score, compared.candidate.interval_score
    limit = before * (1 + compared.limits.interval_tolerance)
    yield Rule("interval score", _is_at_most(after, limit), before, after, compared.rows, None)


def _is_at_most(value: float, limit: float) -> bool:
    """Compare with room for the rounding of sums."""
    return value <= limit + 1e-9 * abs(limit)


def _differences(target: Quantity, part: Part) -> NDArray[np.float64]:
    """Return how much larger the absolute error of each row is by the candidate."""
    truth = target.as_y(part.labels)
    after, before = (np.abs(truth - each.values) for each in (part.candidate, part.champion))
    return np.asarray(after - before, np.float64)


def _leave_out(target: Quantity, part: Part) -> Iterable[int]:
    """Return the rows that may be decisive: those that move a figure most, each way."""
    truth = target.as_y(part.labels)
    of_candidate = truth - part.candidate.values
    half = (part.candidate.high - part.candidate.low) / 2
    moves = (
        _differences(target, part),
        of_candidate,
        np.abs(truth - (part.candidate.low + part.candidate.high) / 2) - half,
    )
    return {int(pick(move)) for move in moves for pick in (np.argmax, np.argmin)}
