"""The gate: the rules that decide whether a candidate may replace the champion. Pure functions, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.spec import GateRules
from prediction.figures import scores
from prediction.figures.scores import Metrics

METRICS = {"macro_f1": "macro-F1", "accuracy": "accuracy"}
"""The metrics that a spec may choose, and their names in a verdict."""

NOT_FINITE = "rejected: some of its probabilities are not finite numbers"
NO_VOTE = "rejected: too few held-out rows of the dataset to judge by"


@dataclass(frozen=True)
class Part:
    """One part of the holdout, with the answers of champion and candidate.

    Parameters
    ----------
    labels
        True classes, shape (n,).
    champion, candidate
        Probabilities, shape (n, k).
    best_log_loss
        The lowest log-loss on these rows, in nats, of all champions since the last training by hand.
    is_feedback
        Whether clients gave the labels. Any of them may be wrong, so a single row must not decide.
    """

    name: str
    labels: NDArray[np.object_]
    champion: NDArray[np.float64]
    candidate: NDArray[np.float64]
    best_log_loss: float = float("inf")
    is_feedback: bool = False

    def without(self, row: int) -> Part:
        """Return the part without one of its rows."""
        return replace(
            self,
            labels=np.delete(self.labels, row),
            champion=np.delete(self.champion, row, axis=0),
            candidate=np.delete(self.candidate, row, axis=0),
        )


@dataclass(frozen=True)
class Rule:
    """One comparison of champion and candidate; `passed` is null if the rows are too few, or one decides.

    `champion` and `candidate` are the compared figures, on `n` rows; `p` is the p-value of a test, or null.
    """

    name: str
    passed: bool | None
    champion: float
    candidate: float
    n: int
    p: float | None


@dataclass(frozen=True)
class Verdict:
    """Promote or not, in a sentence and in figures."""

    promote: bool
    sentence: str
    rules: list[Rule]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """What a rule looks at: one part, the figures of both models on it, and the spec's limits."""

    part: Part
    classes: tuple[str, ...]
    limits: GateRules

    @property
    def rows(self) -> int:
        """The number of rows of the part."""
        return len(self.part.labels)

    @cached_property
    def champion(self) -> Metrics:
        """The figures of the champion."""
        return scores.metrics(self.part.labels, self.part.champion, self.classes)

    @cached_property
    def candidate(self) -> Metrics:
        """The figures of the candidate."""
        return scores.metrics(self.part.labels, self.part.candidate, self.classes)

    def vote(self, rule: Rule) -> Rule:
        """Put the part's name before the rule's, and take its vote away if it has too few rows."""
        passed = rule.passed if rule.n >= self.limits.min_rows else None
        return replace(rule, name=f"{self.part.name} {rule.name}", passed=passed)

    def without(self, row: int) -> Comparison:
        """Return the comparison without one row; `min_rows` is one less, so the same rules vote."""
        limits = replace(self.limits, min_rows=self.limits.min_rows - 1)
        return replace(self, part=self.part.without(row), limits=limits)


Check = Callable[[Comparison], Iterable[Rule]]
"""One rule of the gate: it compares both models on one part, and yields a result for each figure."""


def metric_within_tolerance(compared: Comparison) -> Iterator[Rule]:
    """The metric of the spec (macro-F1 or accuracy) may fall by at most `metric_tolerance`."""
    metric, tolerance = compared.limits.metric, compared.limits.metric_tolerance
    before, after = getattr(compared.champion, metric), getattr(compared.candidate, metric)
    yield Rule(METRICS[metric], before - after <= tolerance, before, after, compared.rows, None)


def log_loss_near_the_best(compared: Comparison) -> Iterator[Rule]:
    """Log-loss may rise by at most `log_loss_tolerance` above the best log-loss so far.

    The reference is not only the champion: otherwise small losses of many runs would add up.
    """
    best = min(compared.champion.log_loss, compared.part.best_log_loss)
    after = compared.candidate.log_loss
    yield Rule(
        "log-loss", after - best <= compared.limits.log_loss_tolerance, best, after, compared.rows, None
    )


def recall_above_the_floor(compared: Comparison) -> Iterator[Rule]:
    """The recall of each class must reach `recall_floor`, or the champion's recall where that is lower."""
    for name, after in compared.candidate.recall.items():
        before = compared.champion.recall[name]
        rows = int((compared.part.labels == name).sum())
        passed = after >= min(compared.limits.recall_floor, before)
        yield Rule(f"recall of {name}", passed, before, after, rows, None)


def not_significantly_more_wrong(compared: Comparison) -> Iterator[Rule]:
    """The candidate must not be wrong significantly more often than the champion.

    McNemar's exact test, one-sided (McNemar, Psychometrika 12, 1947): b rows are right by the champion
    alone and c by the candidate alone; p = P(X >= b), X ~ Binomial(b + c, 1/2).
    """
    from scipy.stats import binomtest

    part, names = compared.part, np.array(compared.classes, object)
    old = names[part.champion.argmax(axis=1)] == part.labels
    new = names[part.candidate.argmax(axis=1)] == part.labels
    b, c = int((old & ~new).sum()), int((new & ~old).sum())
    p = float(binomtest(b, b + c, 0.5, alternative="greater").pvalue) if b + c else 1.0
    passed, accuracies = p >= compared.limits.significance, (compared.champion, compared.candidate)
    before, after = (figures.accuracy for figures in accuracies)
    yield Rule("accuracy by McNemar's test", passed, before, after, compared.rows, p)


FIGURES: tuple[Check, ...] = (metric_within_tolerance, log_loss_near_the_best, recall_above_the_floor)
"""Rules that compare figures. On few rows a single row can move them, so feedback is checked for that."""

TESTS: tuple[Check, ...] = (not_significantly_more_wrong,)
"""Rules that are statistical tests: they take chance into account themselves."""


def judge(parts: Sequence[Part], classes: tuple[str, ...], limits: GateRules) -> Verdict:
    """Judge a candidate: it is promoted if it is not worse by any rule on any part; a tie is not worse.

    The rules are `FIGURES` and `TESTS`, in this order. A rule on fewer than `min_rows` rows does not
    vote. A rule that compares figures on feedback does not vote if it fails because of a single row.

    Parameters
    ----------
    parts
        The part of the dataset comes first. Feedback never changes it, so it detects poisoned labels:
        if none of its rules votes, nothing is promoted.
    """
    if not all(np.isfinite(part.candidate).all() for part in parts):
        return Verdict(False, NOT_FINITE, [])
    judged = [_judge_part(Comparison(part, classes, limits)) for part in parts]
    rules = [rule for of_part in judged for rule in of_part]
    failed = [rule for rule in rules if rule.passed is False]
    if failed:
        return Verdict(False, "rejected: " + "; ".join(map(_complain, failed)), rules)
    if not judged or not any(rule.passed for rule in judged[0]):
        return Verdict(False, NO_VOTE, rules)
    return Verdict(True, _approve(rules, limits.min_rows), rules)


def _judge_part(compared: Comparison) -> list[Rule]:
    if not compared.rows:
        return []
    figures = _apply(FIGURES, compared)
    failed = {rule.name for rule in figures if rule.passed is False}
    ignored = _fail_by_one_row(compared, failed) if compared.part.is_feedback and failed else set()
    figures = [replace(rule, passed=None) if rule.name in ignored else rule for rule in figures]
    return figures + _apply(TESTS, compared)


def _apply(checks: Sequence[Check], compared: Comparison) -> list[Rule]:
    return [compared.vote(rule) for check in checks for rule in check(compared)]


def _fail_by_one_row(compared: Comparison, failed: set[str]) -> set[str]:
    """Return the names of the failed rules that do not fail if some single row is left out."""
    found: set[str] = set()
    for row in _rows_to_leave_out(compared.part, compared.classes):
        others = compared.without(row)
        still = (
            {rule.name for rule in _apply(FIGURES, others) if rule.passed is False}
            if others.rows
            else set()
        )
        found |= failed - still
    return found


def _rows_to_leave_out(part: Part, classes: tuple[str, ...]) -> Iterable[int]:
    """Return the rows that may be decisive: a few of them stand for all.

    A metric or a recall depends only on the label and the two predicted classes of a row. Of the rows
    that share these three, the one whose log-loss rose most is taken.
    """
    truth = scores.positions(part.labels, classes)
    old, new = (scores.of_truth(each, truth) for each in (part.champion, part.candidate))
    alike = list(zip(truth, part.champion.argmax(axis=1), part.candidate.argmax(axis=1), strict=True))
    return {alike[row]: int(row) for row in np.argsort(old / new)}.values()


def _complain(rule: Rule) -> str:
    """Say how a rule failed."""
    verb = "rose" if rule.candidate > rule.champion else "fell"
    if rule.candidate == rule.champion:
        verb = "stayed too low"
    words = f"{rule.name} {verb} from {rule.champion:.2f} to {rule.candidate:.2f} on {rule.n} rows"
    return words + (f" (p = {rule.p:.3f})" if rule.p is not None else "")


def _approve(rules: Sequence[Rule], min_rows: int) -> str:
    """Say what the promotion rests on, and which rules did not vote."""
    compared = [rule for rule in rules if rule.passed and rule.name.endswith("log-loss")]
    words = ", ".join(f"{rule.name} {rule.champion:.3f} -> {rule.candidate:.3f}" for rule in compared)
    silent = [rule for rule in rules if rule.passed is None]
    few = [f"{rule.name} ({rule.n})" for rule in silent if rule.n < min_rows]
    by_one_row = [f"{rule.name} ({rule.n})" for rule in silent if rule.n >= min_rows]
    words += f"; too few rows for {', '.join(few)}" if few else ""
    words += f"; a single row against {', '.join(by_one_row)}" if by_one_row else ""
    return f"promoted: not worse on any rule ({words})"
