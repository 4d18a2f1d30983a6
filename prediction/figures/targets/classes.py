"""Classes in figures: metrics of answers, and the rules of the gate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from models_store.targets.classes import Classes
from models_store.targets.decisions import ClassAnswers
from prediction.figures import scores
from prediction.figures.gate import Comparison, Part, Rule, TargetRules

METRICS = {"macro_f1": "macro-F1", "accuracy": "accuracy"}
"""The metrics that a spec may choose, and their names in a verdict."""

LOSS = "log_loss"
"""The metric that never rises far above the best one so far."""


def metrics(target: Classes, labels: Sequence[str], answers: ClassAnswers) -> scores.Metrics:
    """Compare labels with answers."""
    return scores.metrics(np.array(labels, object), answers, target.texts)


def rules(target: Classes) -> TargetRules:
    """Return the rules of the gate."""
    return TargetRules(
        metrics=partial(metrics, target),
        figures=(_metric_within_tolerance, _log_loss_near_the_best, _recall_above_the_floor),
        tests=(partial(_not_significantly_more_wrong, target.texts),),
        leave_out=partial(_leave_out, target.texts),
        loss="log-loss",
    )


def _metric_within_tolerance(compared: Comparison) -> Iterator[Rule]:
    """The metric of the spec (macro-F1 or accuracy) may fall by at most `metric_tolerance`."""
    metric, tolerance = compared.limits.metric, compared.limits.metric_tolerance
    before, after = getattr(compared.champion, metric), getattr(compared.candidate, metric)
    yield Rule(METRICS[metric], before - after <= tolerance, before, after, compared.rows, None)


def _log_loss_near_the_best(compared: Comparison) -> Iterator[Rule]:
    """Log-loss may rise by at most `log_loss_tolerance` above the best log-loss so far.

    The reference is not only the champion: otherwise small losses of many runs would add up.
    """
    best = min(compared.champion.log_loss, compared.part.best_log_loss)
    after = compared.candidate.log_loss
    yield Rule(
        "log-loss", after - best <= compared.limits.log_loss_tolerance, best, after, compared.rows, None
    )


def _recall_above_the_floor(compared: Comparison) -> Iterator[Rule]:
    """The recall of each class must reach `recall_floor`, or the champion's recall where that is lower."""
    for name, after in compared.candidate.recall.items():
        before = compared.champion.recall[name]
        rows = int((compared.part.labels == name).sum())
        passed = after >= min(compared.limits.recall_floor, before)
        yield Rule(f"recall of {name}", passed, before, after, rows, None)


def _not_significantly_more_wrong(texts: tuple[str, ...], compared: Comparison) -> Iterator[Rule]:
    """The candidate must not be wrong significantly more often than the champion.

    McNemar's exact test, one-sided (McNemar, Psychometrika 12, 1947): b rows are right by the champion
    alone and c by the candidate alone; p = P(X >= b), X ~ Binomial(b + c, 1/2).
    """
    from scipy.stats import binomtest

    part = compared.part
    truth = scores.positions(part.labels, texts)
    old, new = part.champion.best == truth, part.candidate.best == truth
    b, c = int((old & ~new).sum()), int((new & ~old).sum())
    p = float(binomtest(b, b + c, 0.5, alternative="greater").pvalue) if b + c else 1.0
    passed, accuracies = p >= compared.limits.significance, (compared.champion, compared.candidate)
    before, after = (figures.accuracy for figures in accuracies)
    yield Rule("accuracy by McNemar's test", passed, before, after, compared.rows, p)


def _leave_out(texts: tuple[str, ...], part: Part) -> Iterable[int]:
    """Return the rows that may be decisive.

    A metric or a recall depends only on the label and the two predicted classes of a row. Of the rows
    that share these three, the one whose log-loss rose most is taken.
    """
    truth = scores.positions(part.labels, texts)
    old, new = (scores.of_truth(each.probabilities, truth) for each in (part.champion, part.candidate))
    alike = list(zip(truth, part.champion.best, part.candidate.best, strict=True))
    return {alike[row]: int(row) for row in np.argsort(old / new)}.values()
