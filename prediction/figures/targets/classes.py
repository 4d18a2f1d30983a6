"""Classes in figures: metrics of answers, and the rules of the gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.targets.classes import Classes
from models_store.targets.costs import Cost
from models_store.targets.decisions import ClassAnswers
from prediction.figures import costs, positives, scores
from prediction.figures.gate import Check, Comparison, Part, Rule, TargetRules

METRICS = {"macro_f1": "macro-F1", "accuracy": "accuracy"}
"""The metrics that a spec may choose, and their names in a verdict."""

RANKINGS = {"average_precision": "average precision", "roc_auc": "ROC AUC", "brier_skill": "Brier skill"}
"""Figures of the positive class, and their names in a verdict."""

LOSS = "log_loss"
"""The metric that never rises far above the best one so far."""


@dataclass(frozen=True)
class ClassMetrics(scores.Metrics):
    """Figures of a classifier; if the target declares them, of the positive class and of the costs."""

    positive: positives.Ranking | None = None
    cost: costs.Spent | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values; those that are None are left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def metrics(target: Classes, labels: Sequence[str], answers: ClassAnswers) -> ClassMetrics:
    """Compare labels with answers."""
    truth = np.array(labels, object)
    found = vars(scores.metrics(truth, answers, target.texts))
    if target.positive is None:
        return ClassMetrics(**found)
    text = target.text(target.positive)
    probability = answers.probabilities[:, target.texts.index(text)]
    is_alarm = answers.best == target.texts.index(text)
    cost = costs.spent(target.cost, truth == text, is_alarm) if target.cost else None
    return ClassMetrics(**found, positive=positives.rank(truth == text, probability), cost=cost)


def monitored(
    target: Classes, by_class: Mapping[str, int], confusion: Mapping[tuple[str, str], int]
) -> dict[str, Any]:
    """Return figures of a window from its counts, as plain values."""
    shares = positives.labelled({name: by_class.get(name, 0) for name in target.texts}, confusion)
    text = None if target.positive is None else target.text(target.positive)
    cost = costs.mean(target.cost, text, confusion) if target.cost and text is not None else None
    return {
        "labelled": {name: asdict(share) if share else None for name, share in shares.items()},
        "labels_are_selective": positives.are_selective(shares),
        "positive": asdict(positives.positive(text, by_class, confusion)) if text is not None else None,
        "cost": asdict(cost) if cost else None,
    }


def sure(
    target: Classes, labels: Sequence[str], answers: ClassAnswers
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the probability of each answered class, and whether it is right."""
    truth = scores.positions(np.array(labels, object), target.texts)
    rows = np.arange(len(answers.best))
    return answers.probabilities[rows, answers.best], answers.best == truth


def table(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures of a training in words, for a table."""
    shown = {
        "accuracy": f"{metrics['accuracy']:.3f} on the holdout",
        "macro-F1": f"{metrics['macro_f1']:.3f}",
        "log-loss": f"{metrics['log_loss']:.3f}",
    }
    if cost := metrics.get("cost"):
        words = f"{cost['per_row']:.3g} a row"
        if cost.get("saved") is not None:
            more = "less" if cost["saved"] >= 0 else "more"
            words += f", {abs(cost['saved']):.1%} {more} than one answer for all rows"
        shown["cost"] = words
    return shown


def rules(target: Classes) -> TargetRules:
    """Return the rules of the gate.

    If the target declares costs, they take the place of rules that weigh all errors alike. One row of
    feedback must not decide by any of them.
    """
    figure: Check = _metric_within_tolerance
    shown: Check = partial(_shown_as_accurate, target.texts)
    if target.cost and target.positive is not None:
        figure = _cost_within_tolerance
        shown = partial(_shown_as_cheap, target.cost, target.text(target.positive), target.texts)
    return TargetRules(
        metrics=partial(metrics, target),
        checks=(
            figure,
            _log_loss_near_the_best,
            _recall_above_the_floor,
            _positives_ranked_as_well,
            shown,
        ),
        leave_out=partial(_leave_out, target.texts),
        loss="log-loss",
    )


def _metric_within_tolerance(compared: Comparison) -> Iterator[Rule]:
    """The metric of the spec (macro-F1 or accuracy) may fall by at most `metric_tolerance`."""
    metric, tolerance = compared.limits.metric, compared.limits.metric_tolerance
    before, after = getattr(compared.champion, metric), getattr(compared.candidate, metric)
    yield Rule(METRICS[metric], before - after <= tolerance, before, after, compared.rows, None)


def _cost_within_tolerance(compared: Comparison) -> Iterator[Rule]:
    """The share of the cost that is saved may fall by at most `metric_tolerance`.

    n is the number of rows of the rarer class.
    """
    before, after = compared.champion.cost, compared.candidate.cost
    if before.saved is None or after.saved is None:
        return
    passed = before.saved - after.saved <= compared.limits.metric_tolerance
    yield Rule("cost saved", passed, before.saved, after.saved, _rarer(compared.part), None)


def _rarer(part: Part) -> int:
    """Count the rows of the rarer class."""
    return min(Counter(part.labels.tolist()).values())


def _log_loss_near_the_best(compared: Comparison) -> Iterator[Rule]:
    """Log-loss may rise by at most `log_loss_tolerance` above the best log-loss so far.

    The reference is not only the champion: otherwise small losses of many runs would add up.
    """
    best = min(compared.champion.log_loss, compared.part.best_loss)
    after = compared.candidate.log_loss
    yield Rule(
        "log-loss", after - best <= compared.limits.log_loss_tolerance, best, after, compared.rows, None
    )


def _recall_above_the_floor(compared: Comparison) -> Iterator[Rule]:
    """The recall of each class must reach `recall_floor`, or the champion's recall where that is lower.

    A candidate that never finds a class fails, even if the champion does not find it either: otherwise
    the floor would be 0 from then on.
    """
    for name, after in compared.candidate.recall.items():
        before = compared.champion.recall[name]
        rows = int((compared.part.labels == name).sum())
        floor = compared.limits.recall_floor
        passed = after >= min(floor, before) and (after > 0 or floor == 0)
        yield Rule(f"recall of {name}", passed, before, after, rows, None)


def _positives_ranked_as_well(compared: Comparison) -> Iterator[Rule]:
    """Figures of the positive class, if the target names one, may fall by at most `metric_tolerance`.

    n is the number of rows of the rarer class: with few of them the figures are chance.
    """
    before, after = compared.champion.positive, compared.candidate.positive
    if before is None or after is None:
        return
    rarer = _rarer(compared.part)
    for name, words in RANKINGS.items():
        old, new = getattr(before, name), getattr(after, name)
        yield Rule(words, old - new <= compared.limits.metric_tolerance, old, new, rarer, None)


def _shown_as_accurate(texts: tuple[str, ...], compared: Comparison) -> Iterator[Rule]:
    """The candidate must be shown to lose less accuracy than `margin`.

    "Not significantly worse" would be no rule: on few rows no difference is significant.
    """
    n, margin = compared.rows, compared.limits.margin
    old, new = _right(texts, compared.part)
    worse, better = int((old & ~new).sum()), int((new & ~old).sum())
    half = (worse + better) / 2
    shown, of_equal, of_same = (
        scores.p_of_fall(lost, won, n, margin) for lost, won in ((worse, better), (half, half), (0, 0))
    )
    before, after = (figures.accuracy for figures in (compared.champion, compared.candidate))
    rule = Rule(f"accuracy within {margin:g} of the champion's", None, before, after, n, shown)
    yield _vote(rule, compared, of_equal, of_same)


def _shown_as_cheap(
    cost: Cost, positive: str, texts: tuple[str, ...], compared: Comparison
) -> Iterator[Rule]:
    """The candidate must be shown to lose less than `margin` of the share of the cost that is saved."""
    n, is_positive = compared.rows, compared.part.labels == positive
    simple = costs.simple(cost, is_positive) / n
    if not simple:
        return
    found = costs.alone(cost, is_positive, *_right(texts, compared.part))
    halves = [(each.worse + each.better) / 2 for each in found]
    equal = [each._replace(worse=half, better=half) for each, half in zip(found, halves, strict=True)]
    same = [each._replace(worse=0.0, better=0.0) for each in found]
    limit = compared.limits.margin * simple
    shown, of_equal, of_same = (costs.p_of_dearer(each, n, limit) for each in (found, equal, same))
    before, after = (figures.cost.per_row for figures in (compared.champion, compared.candidate))
    rule = Rule(f"cost within {limit:.2g} of the champion's", None, before, after, n, shown)
    yield _vote(rule, compared, of_equal, of_same)


def _right(texts: tuple[str, ...], part: Part) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return on which rows the champion is right, and on which the candidate is."""
    truth = scores.positions(part.labels, texts)
    return part.champion.best == truth, part.candidate.best == truth


def _vote(rule: Rule, compared: Comparison, of_equal: float, of_same: float) -> Rule:
    """Pass a rule whose p-value shows enough. It does not vote where the rows can't show it.

    They can't if not even a model with the same answers would be shown to be as good; of feedback, also
    if an equal model with as many other answers would not. But if they show that the candidate is worse
    by more than the margin, it fails.
    """
    level, p = compared.limits.significance, 1.0 if rule.p is None else rule.p
    can_show = max(of_same, of_equal if compared.part.is_feedback else 0.0) <= level
    passed = True if p <= level else False if can_show or p >= 1 - level else None
    return replace(rule, passed=passed)


def _leave_out(texts: tuple[str, ...], part: Part) -> Iterable[int]:
    """Return the rows that may be decisive.

    A metric or a recall depends only on the label and the two predicted classes of a row. Of the rows
    that share these three, the one whose log-loss rose most is taken.
    """
    truth = scores.positions(part.labels, texts)
    old, new = (scores.of_truth(each.probabilities, truth) for each in (part.champion, part.candidate))
    alike = list(zip(truth, part.champion.best, part.candidate.best, strict=True))
    return {alike[row]: int(row) for row in np.argsort(old / new)}.values()
