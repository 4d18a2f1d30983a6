"""How good predictions are: pure functions on arrays, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.spec import GateRules

METRICS = {"macro_f1": "macro-F1", "accuracy": "accuracy"}
"""What a spec may be judged by, and what it is called."""

Z95 = 1.959963984540054
"""Of a normal distribution, 95 % lies within so many standard deviations."""


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
    truth = _positions(labels, classes)
    predicted = probabilities.argmax(axis=1)
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
        log_loss=float(-np.log(_of_truth(probabilities, truth)).mean()),
        recall=recall,
    )


def _positions(labels: NDArray[np.object_], classes: tuple[str, ...]) -> NDArray[np.intp]:
    index = {name: position for position, name in enumerate(classes)}
    return np.array([index[label] for label in labels])


def _of_truth(probabilities: NDArray[np.float64], truth: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.clip(probabilities[np.arange(len(truth)), truth], 1e-15, 1.0)


@dataclass(frozen=True)
class Proportion:
    """A share of n rows, in [0, 1], with the interval that holds the true share 95 times of 100."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Scores:
    """How good predictions were by their labels; the recall of a class without a label is left out."""

    accuracy: Proportion
    macro_f1: float
    recall: dict[str, Proportion]


def wilson(hits: int, n: int) -> Proportion | None:
    """Return a share with its Wilson score interval (Wilson, JASA 22, 1927); None for no rows.

    Unlike the textbook's interval it is right for few rows, and for shares near 0 and 1.
    """
    if n == 0:
        return None
    share, squared = hits / n, Z95**2
    middle = (share + squared / (2 * n)) / (1 + squared / n)
    half = Z95 * ((share * (1 - share) + squared / (4 * n)) / n) ** 0.5 / (1 + squared / n)
    return Proportion(share, min(share, middle - half), max(share, middle + half), n)


def expected_accuracy(confidences: Sequence[float]) -> Proportion | None:
    """Estimate accuracy without labels, from the probability of each predicted class; None for no rows.

    It is confidence-based performance estimation (CBPE; NannyML, release 0.13, "Estimation of
    Performance of the Monitored Model", https://nannyml.readthedocs.io), without the calibration that
    NannyML may add: where probabilities are calibrated, a prediction of probability p is right with
    probability p, so the expected accuracy is the mean of p. The number of right ones is then
    Poisson-binomial, with variance sum p (1 - p); the interval is the normal approximation. It knows
    nothing of a model that is sure and wrong: that shows where it leaves the accuracy by labels.
    """
    if not confidences:
        return None
    p = np.asarray(confidences, np.float64)
    mean, half = float(p.mean()), float(Z95 * np.sqrt((p * (1 - p)).sum()) / len(p))
    return Proportion(mean, max(0.0, mean - half), min(1.0, mean + half), len(p))


def scores(confusion: dict[tuple[str, str], int], classes: Sequence[str]) -> Scores | None:
    """Judge predictions by their labels; None for no rows of these classes.

    Parameters
    ----------
    confusion
        Rows by predicted class and label.

    Notes
    -----
    F1 and macro-F1 are those of `metrics`.
    """
    accuracy = wilson(sum(confusion.get((name, name), 0) for name in classes), sum(confusion.values()))
    if accuracy is None:
        return None
    f1, recall = [], {}
    for name in classes:
        said = sum(rows for (predicted, _), rows in confusion.items() if predicted == name)
        true = sum(rows for (_, label), rows in confusion.items() if label == name)
        hits = confusion.get((name, name), 0)
        if said or true:
            f1.append(2 * hits / (said + true))
        found = wilson(hits, true)
        if found is not None:
            recall[name] = found
    if not f1:  # all rows are of classes that the spec had once
        return None
    return Scores(accuracy, sum(f1) / len(f1), recall)


@dataclass(frozen=True)
class Part:
    """One part of the holdout, answered by champion and candidate alike.

    Parameters
    ----------
    labels
        True classes, shape (n,).
    champion, candidate
        Probabilities, shape (n, k).
    best_log_loss
        The lowest log-loss on these rows of the champions since somebody last trained by hand, nats.
    is_feedback
        Whether clients gave the labels, any of which may be wrong: no single row decides then.
    """

    name: str
    labels: NDArray[np.object_]
    champion: NDArray[np.float64]
    candidate: NDArray[np.float64]
    best_log_loss: float = float("inf")
    is_feedback: bool = False

    def without(self, row: int) -> Part:
        """Return it without one of its rows."""
        return replace(
            self,
            labels=np.delete(self.labels, row),
            champion=np.delete(self.champion, row, axis=0),
            candidate=np.delete(self.candidate, row, axis=0),
        )


@dataclass(frozen=True)
class Rule:
    """What one rule of the gate says. `passed` is None where too few rows say it, or one row alone.

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

    On each part: the spec's metric and log-loss within their tolerances, each class's recall above the
    floor (or not below the champion's, where that is lower), and McNemar's exact test: the candidate is
    not wrong significantly more often than the champion where just one of them is right. A rule that
    has fewer than `min_rows` rows does not vote; nor, on a part of feedback, does one that would not
    say no if any single row were left out. The test of McNemar reckons with chance by itself.

    Parameters
    ----------
    parts
        The dataset's part first: feedback never touches it, so it is what catches poisoned labels, and
        where none of its rules can vote nothing is promoted.
    """
    if not all(np.isfinite(part.candidate).all() for part in parts):
        return Verdict(False, "rejected: some of its probabilities are no finite numbers", [])
    judged = [list(_judge(part, classes, rules)) for part in parts]
    found = [rule for of_part in judged for rule in of_part]
    failed = [rule for rule in found if rule.passed is False]
    if failed:
        return Verdict(False, "rejected: " + "; ".join(map(_complain, failed)), found)
    if not judged or not any(rule.passed for rule in judged[0]):
        return Verdict(False, "rejected: too few held-out rows of the dataset to judge by", found)
    compared = [rule for rule in found if rule.passed and rule.name.endswith("log-loss")]
    words = ", ".join(f"{rule.name} {rule.champion:.3f} -> {rule.candidate:.3f}" for rule in compared)
    silent = [rule for rule in found if rule.passed is None]
    few = [f"{rule.name} ({rule.n})" for rule in silent if rule.n < rules.min_rows]
    hanging = [f"{rule.name} ({rule.n})" for rule in silent if rule.n >= rules.min_rows]
    words += f"; too few rows for {', '.join(few)}" if few else ""
    words += f"; a single row against {', '.join(hanging)}" if hanging else ""
    return Verdict(True, f"promoted: not worse on any rule ({words})", found)


def _judge(part: Part, classes: tuple[str, ...], rules: GateRules) -> Iterator[Rule]:
    found = list(_compare(part, classes, rules))
    failed = {rule.name for rule in found if rule.passed is False and rule.p is None}
    hanging: set[str] = set()  # on a single row
    if part.is_feedback and failed:
        one_fewer = replace(rules, min_rows=rules.min_rows - 1)  # or none could say no on just as many
        for row in _loudest(part, classes):
            others = _compare(part.without(row), classes, one_fewer)
            hanging |= failed - {rule.name for rule in others if rule.passed is False}
    for rule in found:
        yield replace(rule, passed=None) if rule.name in hanging else rule


def _loudest(part: Part, classes: tuple[str, ...]) -> Iterable[int]:
    """Return the rows that may speak loudest against the candidate, by any figure.

    A metric or a recall depends on a row by its label and the two answers alone; of all rows that
    share these, the one whose log-loss rose most stands for them.
    """
    truth = _positions(part.labels, classes)
    old, new = (_of_truth(each, truth) for each in (part.champion, part.candidate))
    alike = list(zip(truth, part.champion.argmax(axis=1), part.candidate.argmax(axis=1), strict=True))
    return {alike[row]: int(row) for row in np.argsort(old / new)}.values()


def _compare(part: Part, classes: tuple[str, ...], rules: GateRules) -> Iterator[Rule]:
    if not len(part.labels):
        return
    old = metrics(part.labels, part.champion, classes)
    new = metrics(part.labels, part.candidate, classes)

    def rule(name: str, passed: bool, old: float, new: float, *, n: int, p: float | None = None) -> Rule:
        return Rule(f"{part.name} {name}", passed if n >= rules.min_rows else None, old, new, n, p)

    n = len(part.labels)
    before, after = getattr(old, rules.metric), getattr(new, rules.metric)
    yield rule(METRICS[rules.metric], before - after <= rules.metric_tolerance, before, after, n=n)
    # Against the best so far: each run's small loss would otherwise be the next one's reference.
    best = min(old.log_loss, part.best_log_loss)
    yield rule("log-loss", new.log_loss - best <= rules.log_loss_tolerance, best, new.log_loss, n=n)
    for name in new.recall:
        of_class = int((part.labels == name).sum())
        floor = min(rules.recall_floor, old.recall[name])
        passed = new.recall[name] >= floor
        yield rule(f"recall of {name}", passed, old.recall[name], new.recall[name], n=of_class)
    p = _mcnemar(part, classes)
    yield rule("accuracy by McNemar's test", p >= rules.significance, old.accuracy, new.accuracy, n=n, p=p)


def _mcnemar(part: Part, classes: tuple[str, ...]) -> float:
    """Return the p-value of McNemar's exact test, one-sided: P(X >= b), X ~ Binomial(b + c, 1/2).

    b rows are right by the champion alone and c by the candidate alone (McNemar, Psychometrika 12,
    1947).
    """
    from scipy.stats import binomtest

    names = np.array(classes, object)
    old = names[part.champion.argmax(axis=1)] == part.labels
    new = names[part.candidate.argmax(axis=1)] == part.labels
    only_old, only_new = int((old & ~new).sum()), int((new & ~old).sum())
    if not only_old + only_new:
        return 1.0
    return float(binomtest(only_old, only_old + only_new, 0.5, alternative="greater").pvalue)


def _complain(rule: Rule) -> str:
    verb = "rose" if rule.candidate > rule.champion else "fell"
    if rule.candidate == rule.champion:
        verb = "stayed too low"
    words = f"{rule.name} {verb} from {rule.champion:.2f} to {rule.candidate:.2f} on {rule.n} rows"
    return words + (f" (p = {rule.p:.3f})" if rule.p is not None else "")
