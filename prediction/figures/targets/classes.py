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
from prediction.figures import changes, costs, drift, positives, scores
from prediction.figures.drift import Drift
from prediction.figures.gate import Check, Comparison, Part, Rule, TargetRules
from prediction.figures.positives import Positive

METRICS = {"macro_f1": "macro-F1", "accuracy": "accuracy"}
"""The metrics that a spec may choose, and their names in a verdict."""

RANKINGS = {"average_precision": "average precision", "roc_auc": "ROC AUC", "brier_skill": "Brier skill"}
"""Figures of the positive class, and their names in a verdict."""

SELECTIVE = "labels are selective"
"""In place of the state of a figure that is biased by that."""

Confusion = Mapping[str, Mapping[str, int]]
"""Rows by predicted class and label, as a profile holds them."""

Counts = Mapping[tuple[str, str], int]
"""The same, by both."""

LOSS = "log_loss"
"""The metric that never rises far above the best one so far."""

ADAPTS_BY: Sequence[str] = ()
"""The sums of labels that change the width of intervals: there are no intervals."""


@dataclass(frozen=True)
class ClassMetrics(scores.Metrics):
    """Figures of a classifier; if the target declares them, of the positive class and of the costs."""

    positive: positives.Ranking | None = None
    cost: costs.Spent | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values; those that are None are left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def width(_target: Classes, _sums: Iterable[Mapping[str, int]]) -> float:
    """Return 1: there are no intervals."""
    return 1.0


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
    target: Classes,
    by_class: Mapping[str, int],
    confusion: Counts,
    trained: Confusion | None = None,
) -> dict[str, Any]:
    """Return figures of a window from its counts, as plain values.

    Parameters
    ----------
    trained
        Of rows that the version was not trained on; None if it has not counted them.
    """
    shares = positives.labelled({name: by_class.get(name, 0) for name in target.texts}, confusion)
    is_selective = positives.are_selective(shares)
    positive = cost = None
    if target.positive is not None:
        text, old = target.text(target.positive), trained or {}
        known = {(predicted, label): rows for predicted, row in old.items() for label, rows in row.items()}
        now = positives.positive(text, by_class, confusion)
        then = positives.positive(text, {name: sum(row.values()) for name, row in old.items()}, known)
        positive = asdict(now) | _against(now, then if old else None, is_selective)
        cost = _cost(target.cost, text, confusion, known, is_selective) if target.cost else None
    return {
        "labelled": {name: asdict(share) if share else None for name, share in shares.items()},
        "labels_are_selective": is_selective,
        "positive": positive,
        "cost": cost,
    }


def _against(now: Positive, then: Positive | None, is_selective: bool) -> dict[str, Any]:
    """Compare figures of the positive class with those of the training."""
    if then is None:
        return {"trained": None, "states": None}
    names = ("precision", "recall", "alert_rate")
    states = {name: changes.of_shares(getattr(now, name), getattr(then, name)) for name in names}
    if is_selective:
        states["recall"] = SELECTIVE
    return {"trained": asdict(then), "states": states}


def _cost(
    cost: Cost, text: str, confusion: Counts, known: Counts, is_selective: bool
) -> dict[str, Any] | None:
    """Return the mean cost of a row, compared with that of the training; None for no rows."""
    now, then = (costs.mean(cost, text, counts) for counts in (confusion, known))
    if now is None:
        return None
    state = changes.of_costs(cost, now, then)
    trained = asdict(then) if then else None
    return asdict(now) | {"trained": trained, "state": SELECTIVE if is_selective and then else state}


def sure(
    target: Classes, labels: Sequence[str], answers: ClassAnswers
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the probability of each answered class, and whether it is right."""
    truth = scores.positions(np.array(labels, object), target.texts)
    rows = np.arange(len(answers.best))
    return answers.probabilities[rows, answers.best], answers.best == truth


def compare(profile: Mapping[str, Any], predicted: Sequence[str]) -> Drift:
    """Compare live answers with answers to rows that were not trained on.

    Not with the labels: a threshold gives answers other shares than the labels have. A version of an
    earlier release has counted the labels only.
    """
    expected = profile.get("answers", profile.get("classes", {}))
    return drift.chi_squared("predicted class", expected, Counter(predicted))


def table(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Return the figures of a training in words, for a table."""
    shown = {
        "accuracy": f"{metrics['accuracy']:.3f} on the holdout",
        "macro-F1": f"{metrics['macro_f1']:.3f}",
        "log-loss": f"{metrics['log_loss']:.3f}",
    }
    if found := metrics.get("positive"):
        shown["average precision"] = f"{found['average_precision']:.3f}"
        shown["ROC AUC"] = f"{found['roc_auc']:.3f}"
        shown["Brier"] = f"{found['brier']:.4f}, skill {found['brier_skill']:.3f}"
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
