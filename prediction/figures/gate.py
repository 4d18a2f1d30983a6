"""The gate: the rules that decide whether a candidate may replace the champion. Pure functions, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOT_FINITE = "rejected: some of its answers are not finite numbers"
NO_VOTE = "rejected: too few held-out rows of the dataset to judge by"


@dataclass(frozen=True)
class Part:
    """One part of the holdout, with the answers of champion and candidate.

    Parameters
    ----------
    labels
        Canonical texts, shape (n,).
    champion, candidate
        The answers of both to n rows, of the spec's kind of target.
    best_loss
        The lowest loss on these rows of all champions since the last training by hand. Log-loss, in
        nats, is the loss of classes.
    is_feedback
        Whether clients gave the labels. Any of them may be wrong, so a single row must not decide.
    """

    name: str
    labels: NDArray[np.object_]
    champion: Any
    candidate: Any
    best_loss: float = float("inf")
    is_feedback: bool = False

    def without(self, row: int) -> Part:
        """Return the part without one of its rows."""
        return replace(
            self,
            labels=np.delete(self.labels, row),
            champion=self.champion.without(row),
            candidate=self.candidate.without(row),
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
    rules: TargetRules
    limits: Any

    @property
    def rows(self) -> int:
        """The number of rows of the part."""
        return len(self.part.labels)

    @cached_property
    def champion(self) -> Any:
        """The figures of the champion."""
        return self.rules.metrics(self.part.labels, self.part.champion)

    @cached_property
    def candidate(self) -> Any:
        """The figures of the candidate."""
        return self.rules.metrics(self.part.labels, self.part.candidate)

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


@dataclass(frozen=True)
class TargetRules:
    """The rules of a kind of target.

    Parameters
    ----------
    metrics
        Returns the figures of answers, from labels and answers.
    checks
        The rules. On few rows a single row can move any of them, so feedback is checked for that.
    leave_out
        Returns the rows of a part that may be decisive: a few of them stand for all.
    loss
        The name of the rule whose figures a promotion names.
    """

    metrics: Callable[[NDArray[np.object_], Any], Any]
    checks: tuple[Check, ...]
    leave_out: Callable[[Part], Iterable[int]]
    loss: str


def judge(parts: Sequence[Part], of_target: TargetRules, limits: Any) -> Verdict:
    """Judge a candidate: it is promoted if it is not worse by any rule on any part; a tie is not worse.

    A rule on fewer than `min_rows` rows does not vote. A single row of feedback does not decide: a rule
    does not vote if it fails because of one, and it fails if it passes because of one.

    Parameters
    ----------
    parts
        The part of the dataset comes first. Feedback never changes it, so it detects poisoned labels:
        if none of its rules votes, nothing is promoted.
    """
    if not all(part.candidate.is_finite for part in parts):
        return Verdict(False, NOT_FINITE, [])
    judged = [_judge_part(Comparison(part, of_target, limits)) for part in parts]
    rules = [rule for of_part in judged for rule in of_part]
    failed = [rule for rule in rules if rule.passed is False]
    if failed:
        return Verdict(False, "rejected: " + "; ".join(map(_complain, failed)), rules)
    if not judged or not any(rule.passed for rule in judged[0]):
        return Verdict(False, NO_VOTE, rules)
    return Verdict(True, _approve(rules, of_target.loss, limits.min_rows), rules)


def _judge_part(compared: Comparison) -> list[Rule]:
    if not compared.rows:
        return []
    rules = _apply(compared)
    if not compared.part.is_feedback:
        return rules
    failed = {rule.name for rule in rules if rule.passed is False}
    ignored = _fail_by_one_row(compared, failed) if failed else set()
    carried = _pass_by_one_row(compared, {rule.name for rule in rules if rule.passed})
    rules = [replace(rule, passed=None) if rule.name in ignored else rule for rule in rules]
    return [carried.get(rule.name, rule) for rule in rules]


def _apply(compared: Comparison) -> list[Rule]:
    return [compared.vote(rule) for check in compared.rules.checks for rule in check(compared)]


def _fail_by_one_row(compared: Comparison, failed: set[str]) -> set[str]:
    """Return the names of the failed rules that do not fail if some single row is left out."""
    found: set[str] = set()
    for row in compared.rules.leave_out(compared.part):
        others = compared.without(row)
        still = {rule.name for rule in _apply(others) if rule.passed is False} if others.rows else set()
        found |= failed - still
    return found


def _pass_by_one_row(compared: Comparison, passed: set[str]) -> dict[str, Rule]:
    """Return the rules that fail if some single row is left out, and also without any other row then.

    They have the figures without that row.
    """
    found: dict[str, Rule] = {}
    for row in compared.rules.leave_out(compared.part) if passed else ():
        others = compared.without(row)
        rules = _apply(others) if others.rows else []
        failed = {rule.name for rule in rules if rule.passed is False} & passed
        if failed:
            failed -= _fail_by_one_row(others, failed)
        for rule in rules:
            if rule.name in failed:
                found[rule.name] = replace(rule, name=f"{rule.name} without one row")
    return found


def _complain(rule: Rule) -> str:
    """Say how a rule failed."""
    if rule.p is not None:
        figures = f"{_figure(rule.champion)} -> {_figure(rule.candidate)}"
        return f"{rule.name} is not shown: {figures} on {rule.n} rows (p = {rule.p:.3f})"
    verb = "rose" if rule.candidate > rule.champion else "fell"
    if rule.candidate == rule.champion:
        verb = "stayed too low"
    return f"{rule.name} {verb} from {_figure(rule.champion)} to {_figure(rule.candidate)} on {rule.n} rows"


def _figure(value: float) -> str:
    """Write a figure, also a small one of a small unit."""
    return f"{value:.2f}" if value == 0 or abs(value) >= 0.01 else f"{value:.2g}"


def _approve(rules: Sequence[Rule], loss: str, min_rows: int) -> str:
    """Say what the promotion rests on, and which rules did not vote."""
    compared = [rule for rule in rules if rule.passed and rule.name.endswith(f" {loss}")]
    words = ", ".join(f"{rule.name} {rule.champion:.3f} -> {rule.candidate:.3f}" for rule in compared)
    silent = [rule for rule in rules if rule.passed is None]
    few = [f"{rule.name} ({rule.n})" for rule in silent if rule.n < min_rows]
    many = [rule for rule in silent if rule.n >= min_rows]
    by_one_row = [f"{rule.name} ({rule.n})" for rule in many if rule.p is None]
    undecided = [f"{rule.name} ({rule.n})" for rule in many if rule.p is not None]
    words += f"; too few rows for {', '.join(few)}" if few else ""
    words += f"; undecided: {', '.join(undecided)}" if undecided else ""
    words += f"; a single row against {', '.join(by_one_row)}" if by_one_row else ""
    return f"promoted: not worse on any rule ({words})"
