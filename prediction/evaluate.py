"""How good predictions are: pure functions on arrays, no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.spec import GateRules


@dataclass(frozen=True)
class Metrics:
    """Figures of one classifier on one set of rows; ratios are in [0, 1], log-loss in nats."""

    rows: int
    accuracy: float
    macro_f1: float
    log_loss: float
    recall: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return asdict(self)


def metrics(
    labels: NDArray[np.object_], probabilities: NDArray[np.float64], classes: tuple[str, ...]
) -> Metrics:
    """Compare labels with predicted probabilities.

    Parameters
    ----------
    labels
        True classes, shape (n,), n > 0.
    probabilities
        Shape (n, k), columns in the order of `classes`.

    Notes
    -----
    Log-loss is the mean of -ln p(true class), p clipped to 1e-15. The F1 of a class is
    2 TP / (2 TP + FP + FN), and 0 where the class is neither true nor predicted, as in
    scikit-learn; macro-F1 is its mean over the classes that occur on either side. The recall of a
    class without a row is left out.
    """
    index = {name: position for position, name in enumerate(classes)}
    truth = np.array([index[label] for label in labels])
    predicted = probabilities.argmax(axis=1)
    of_truth = probabilities[np.arange(len(truth)), truth]
    f1, recall = [], {}
    for position, name in enumerate(classes):
        true, said = truth == position, predicted == position
        hits = int((true & said).sum())
        if true.any() or said.any():
            f1.append(2 * hits / int(true.sum() + said.sum()))
        if true.any():
            recall[name] = hits / int(true.sum())
    return Metrics(
        rows=len(truth),
        accuracy=float((truth == predicted).mean()),
        macro_f1=float(np.mean(f1)),
        log_loss=float(-np.log(np.clip(of_truth, 1e-15, 1.0)).mean()),
        recall=recall,
    )


@dataclass(frozen=True)
class Part:
    """One part of the holdout, answered by champion and candidate alike.

    Parameters
    ----------
    labels
        True classes, shape (n,).
    champion, candidate
        Probabilities, shape (n, k).
    """

    name: str
    labels: NDArray[np.object_]
    champion: NDArray[np.float64]
    candidate: NDArray[np.float64]


@dataclass(frozen=True)
class Rule:
    """What one rule of the gate says. `passed` is None where there are too few rows to say it.

    `champion` and `candidate` are the figures compared, on `n` rows; `p` that of a test, if any.
    """

    name: str
    passed: bool | None
    champion: float
    candidate: float
    n: int
    p: float | None = None


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate takes the champion's place, in a sentence and in figures."""

    promote: bool
    sentence: str
    rules: list[Rule]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def gate(parts: Sequence[Part], classes: tuple[str, ...], rules: GateRules) -> Verdict:
    """Judge a candidate: promoted if it is not worse on any rule of any part; a tie is not worse.

    On each part: macro-F1 and log-loss within their tolerances, each class's recall above the floor
    (or not below the champion's, where that is lower), and McNemar's exact test: the candidate is
    not wrong significantly more often than the champion where just one of them is right. A rule that
    has fewer than `min_rows` rows does not vote; where none can vote, nothing is promoted.
    """
    found = [rule for part in parts for rule in _judge(part, classes, rules)]
    failed = [rule for rule in found if rule.passed is False]
    if failed:
        return Verdict(False, "rejected: " + "; ".join(map(_complain, failed)), found)
    if not any(rule.passed for rule in found):
        return Verdict(False, "rejected: too few held-out rows to judge by", found)
    compared = [rule for rule in found if rule.passed and rule.name.endswith("log-loss")]
    words = ", ".join(f"{rule.name} {rule.champion:.3f} -> {rule.candidate:.3f}" for rule in compared)
    return Verdict(True, f"promoted: not worse on any rule ({words})", found)


def _judge(part: Part, classes: tuple[str, ...], rules: GateRules) -> Iterator[Rule]:
    if not len(part.labels):
        return
    old = metrics(part.labels, part.champion, classes)
    new = metrics(part.labels, part.candidate, classes)
    votes = len(part.labels) >= rules.min_rows

    def rule(name: str, passed: bool, old: float, new: float, n: int, p: float | None = None) -> Rule:
        return Rule(f"{part.name} {name}", passed if n >= rules.min_rows else None, old, new, n, p)

    n = len(part.labels)
    falls = old.macro_f1 - new.macro_f1 > rules.metric_tolerance
    yield rule("macro-F1", not falls, old.macro_f1, new.macro_f1, n)
    rises = new.log_loss - old.log_loss > rules.log_loss_tolerance
    yield rule("log-loss", not rises, old.log_loss, new.log_loss, n)
    for name in new.recall:
        of_class = int((part.labels == name).sum())
        floor = min(rules.recall_floor, old.recall[name])
        passed = new.recall[name] >= floor
        yield rule(f"recall of {name}", passed, old.recall[name], new.recall[name], of_class)
    if votes:
        yield _mcnemar(part, classes, rules)


def _mcnemar(part: Part, classes: tuple[str, ...], rules: GateRules) -> Rule:
    """McNemar's exact test, one-sided: P(X >= b), X ~ Binomial(b + c, 1/2).

    b rows are right by the champion alone and c by the candidate alone (McNemar, Psychometrika 12,
    1947).
    """
    from scipy.stats import binomtest

    names = np.array(classes, object)
    old = names[part.champion.argmax(axis=1)] == part.labels
    new = names[part.candidate.argmax(axis=1)] == part.labels
    only_old, only_new = int((old & ~new).sum()), int((new & ~old).sum())
    p = 1.0
    if only_old + only_new:
        p = float(binomtest(only_old, only_old + only_new, 0.5, alternative="greater").pvalue)
    accuracy = float(old.mean()), float(new.mean())
    name = f"{part.name} accuracy"
    return Rule(name, p >= rules.significance, *accuracy, n=len(part.labels), p=p)


def _complain(rule: Rule) -> str:
    verb = "rose" if rule.candidate > rule.champion else "fell"
    if rule.candidate == rule.champion:
        verb = "stayed too low"
    words = f"{rule.name} {verb} from {rule.champion:.2f} to {rule.candidate:.2f} on {rule.n} rows"
    return words + (f" (p = {rule.p:.3f})" if rule.p is not None else "")
