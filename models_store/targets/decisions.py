"""The decision of a classifier: the rule that makes a class of its probabilities, and its proof.

`pipeline.predict` is what a version must answer. Its rule is one of four: the most probable class, a
threshold on the probability of one class, the label that the graph gives, or `predict` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from models_store.errors import InvalidSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sklearn.base import ClassifierMixin

TOLERANCE = 1e-6
"""The largest difference of any probability between ONNX Runtime and scikit-learn."""

MAX_TIES = 0.001
"""With a larger share of ties, a pipeline without a graph is asked for its `predict`; a graph never is."""

ARGMAX, THRESHOLD, LABEL, PREDICT = RULES = ("argmax", "threshold", "label", "predict")

PROBABILITIES = "probabilities"
"""The output of a graph with the probabilities; `LABEL` is the output with the labels."""


class ClassAnswers(NamedTuple):
    """The answers to n rows.

    Parameters
    ----------
    probabilities
        Shape (n, classes), in the order of the target.
    best
        The position of each row's class, shape (n,).
    """

    probabilities: NDArray[np.float64]
    best: NDArray[np.intp]

    @property
    def is_finite(self) -> bool:
        """Whether all probabilities are finite numbers."""
        return bool(np.isfinite(self.probabilities).all())

    def without(self, row: int) -> ClassAnswers:
        """Return the answers without one of them."""
        return ClassAnswers(np.delete(self.probabilities, row, axis=0), np.delete(self.best, row))


@dataclass(frozen=True)
class Decision:
    """The rule of a version.

    Parameters
    ----------
    position, threshold
        Of the rule `threshold`: the class at this position is the answer from this probability on.
    """

    graphs: ClassVar[tuple[str, ...]] = ()
    """The files of graphs that are asked beside the model's."""

    rule: str = ARGMAX
    position: int | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        has_threshold = self.position is not None and self.threshold is not None
        if self.rule not in RULES or has_threshold is not (self.rule == THRESHOLD):
            raise ValueError(f"{self} is no decision that this release knows")

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the rule needs of a graph or a pipeline."""
        return (PROBABILITIES, LABEL) if self.rule in (LABEL, PREDICT) else (PROBABILITIES,)

    def as_dict(self) -> dict[str, Any]:
        """Return the rule as plain values."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def words(self, texts: Sequence[str]) -> str:
        """Describe the rule; `texts` are those of the classes."""
        if self.position is not None and self.threshold is not None:
            return f"{texts[self.position]} from a probability of {self.threshold:.6g} on"
        words = {LABEL: "the label of the graph", PREDICT: "the label of scikit-learn's predict"}
        return words.get(self.rule, "the most probable class")

    def decider(self, labels: Sequence[Any]) -> Callable[[Sequence[NDArray[Any]]], NDArray[np.intp]]:
        """Return the function that finds the position of each row's class in `outputs`.

        A threshold has a tolerance: forests hit thresholds exactly, and float32 may be a hair below.
        """
        if self.outputs[1:]:
            known = np.array(labels)
            return lambda raw: np.searchsorted(known, raw[1])
        if self.position is not None and self.threshold is not None:
            position, limit = self.position, self.threshold - TOLERANCE
            return lambda raw: np.where(raw[0][:, position] >= limit, position, 1 - position)
        return lambda raw: raw[0].argmax(axis=1)


TRUTH = Decision(PREDICT)
"""Whatever a pipeline's `predict` says, which every other rule is compared with."""


@dataclass(frozen=True)
class Agreement:
    """The result of comparing a compiled model with its pipeline.

    Parameters
    ----------
    other_class
        Rows with another class than `predict` says.
    ties
        Rows with another class that lie on a boundary of the rule, where a rounding decides.
    """

    rows: int
    max_difference: float
    other_class: int
    ties: int = 0

    @property
    def holds(self) -> bool:
        """Whether probabilities differ by at most `TOLERANCE`, and classes only where it is a tie."""
        return self.other_class == 0 and self.max_difference <= TOLERANCE

    @property
    def holds_nearly_everywhere(self) -> bool:
        """Whether it holds, and nearly no row is a tie with another class."""
        return self.holds and self.ties <= MAX_TIES * self.rows

    @property
    def words(self) -> str:
        """Say what was compared."""
        if not self.holds:
            return f"differs by {self.max_difference:.1e}, {self.other_class + self.ties} classes"
        ties = f", {self.ties} of them on a boundary" if self.ties else ""
        return f"agrees on {self.rows} rows{ties}"

    def as_dict(self) -> dict[str, float]:
        """Return the figures as plain values."""
        return asdict(self)


class ClassProof:
    """Rows to compare on, with the probabilities and the labels that a pipeline gives them.

    Parameters
    ----------
    labels
        Those of the target, in its order.
    X
        The rows, as the pipeline takes them.
    """

    def __init__(self, pipeline: ClassifierMixin, labels: Sequence[Any], X: Any) -> None:
        self._labels = labels
        self._expected = np.asarray(pipeline.predict_proba(X), np.float64)
        self._said = pipeline.predict(X)
        self._best = positions(labels, self._said)
        self._rules = [*thresholds_of(pipeline), Decision()]

    def own(self) -> Decision:
        """Return the rule that the pipeline itself follows, on its own probabilities."""
        raw = [self._expected, self._said]
        rules = (rule for rule in self._rules if self._compare(rule, raw).holds_nearly_everywhere)
        return next(rules, Decision(PREDICT))

    def compare(self, raw: Sequence[NDArray[Any]]) -> tuple[Agreement | None, Decision, str]:
        """Compare the outputs of a graph, the probabilities and perhaps its labels.

        Returns
        -------
        tuple
            The agreement, the rule that holds with the fewest ties (or the first of all), and words.
        """
        raw = [np.asarray(raw[0], np.float64), *raw[1:]]
        if raw[0].shape != self._expected.shape:
            return None, self._rules[0], f"probabilities of shape {raw[0].shape}"
        rules = [*self._rules, *([Decision(LABEL)] if len(raw) > 1 else [])]
        compared = [(self._compare(rule, raw), rule) for rule in rules]
        holding = [pair for pair in compared if pair[0].holds]
        agreement, rule = min(holding, key=lambda pair: pair[0].ties) if holding else compared[0]
        return agreement, rule, agreement.words

    def _compare(self, rule: Decision, raw: Sequence[NDArray[Any]]) -> Agreement:
        with np.errstate(invalid="ignore"):
            difference = np.nan_to_num(np.abs(raw[0] - self._expected), nan=np.inf).max()
            others = rule.decider(self._labels)(raw) != self._best
            ties = others & self._near_a_boundary(rule)
        return Agreement(
            rows=len(self._expected),
            max_difference=float(difference),
            other_class=int((others & ~ties).sum()),
            ties=int(ties.sum()),
        )

    def _near_a_boundary(self, rule: Decision) -> NDArray[np.bool_]:
        """Return the rows whose class a difference of `TOLERANCE` can change."""
        p = self._expected
        if rule.outputs[1:] or p.shape[1] < 2:
            return np.zeros(len(p), bool)
        if rule.position is not None and rule.threshold is not None:
            distance = np.abs(p[:, rule.position] - rule.threshold)
        else:
            second, first = np.partition(p, -2, axis=1)[:, -2:].T
            distance = first - second
        return np.asarray(distance <= 2 * TOLERANCE)


def positions(labels: Sequence[Any], said: NDArray[Any]) -> NDArray[np.intp]:
    """Return the position of each predicted label.

    Raises
    ------
    InvalidSpec
        When a label is none of the target.
    """
    known = np.array(labels)
    found = np.minimum(np.searchsorted(known, said), len(known) - 1)
    strange = said[known[found] != said]
    if len(strange):
        raise InvalidSpec(
            f"its predict answers {strange[0]!r}, which is no class: declare it, or map it back"
        )
    return found


def thresholds_of(pipeline: Any) -> list[Decision]:
    """Return the possible rules of a pipeline that ends with a threshold on a probability.

    A tuned threshold keeps its positive class to itself, so both classes are possible.
    """
    last = pipeline.steps[-1][1] if hasattr(pipeline, "steps") else pipeline
    threshold = getattr(last, "best_threshold_", getattr(last, "threshold", None))
    is_of_probability = getattr(last, "response_method", None) in ("auto", "predict_proba")
    if threshold is None or not is_of_probability or not hasattr(last.estimator_, "predict_proba"):
        return []
    known, positive = last.classes_.tolist(), getattr(last, "pos_label", None)
    threshold = 0.5 if threshold == "auto" else float(threshold)
    found = (1, 0) if positive is None else (known.index(positive),)
    return [Decision(THRESHOLD, position, threshold) for position in found]


def without_threshold(pipeline: Any) -> Any:
    """Return a fitted pipeline that ends with the estimator inside of its threshold, for the converter.

    The converter ignores one kind of threshold, and does not know the other.
    """
    if not thresholds_of(pipeline):
        return pipeline
    if not hasattr(pipeline, "steps"):
        return _thawed(pipeline.estimator_)
    from sklearn.pipeline import Pipeline

    *steps, (name, last) = pipeline.steps
    return Pipeline([*steps, (name, _thawed(last.estimator_))])


def _thawed(estimator: Any) -> Any:
    """Return the estimator inside of a frozen one, which the converter does not know."""
    from sklearn.frozen import FrozenEstimator

    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator
