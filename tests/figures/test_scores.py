"""The figures of a classifier, compared with scikit-learn's on random data."""

from __future__ import annotations

import math
import pickle
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from prediction.figures import scores
from tests.labels import most_probable

CLASSES = ("ant", "bee", "cat", "dog", "elk")


@dataclass(frozen=True)
class Case:
    """Labels and probabilities of some rows."""

    classes: tuple[str, ...]
    labels: NDArray[np.object_]
    probabilities: NDArray[np.float64]

    @property
    def metrics(self) -> scores.Metrics:
        """What is tested."""
        return self.measure()

    @property
    def predicted(self) -> NDArray[np.object_]:
        """The most probable class of each row."""
        return np.array([self.classes[best] for best in self.probabilities.argmax(axis=1)], object)

    def measure(self) -> scores.Metrics:
        """Compute what is tested."""
        return scores.metrics(self.labels, most_probable(self.probabilities), self.classes)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw two to five classes, of which some may not occur, and up to 60 rows."""
    classes = CLASSES[: draw(st.integers(2, 5))]
    labels = draw(st.lists(st.sampled_from(classes), min_size=1, max_size=60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sharpness = draw(st.sampled_from([0.1, 1.0, 10.0]))
    probabilities = rng.dirichlet([1 / sharpness] * len(classes), len(labels)) + 1e-9
    return Case(classes, np.array(labels, object), probabilities / probabilities.sum(axis=1, keepdims=True))


def of(labels: str, probabilities: list[list[float]]) -> Case:
    """Make a case by hand, of the classes a and b, or a, b and c."""
    return Case(
        tuple("abc"[: len(probabilities[0])]), np.array(list(labels), object), np.array(probabilities)
    )


@settings(deadline=None, max_examples=50)
@given(cases())
def test_accuracy_is_scikit_learns(case: Case) -> None:
    """The share of rows whose most probable class is the true one."""
    from sklearn.metrics import accuracy_score

    assert math.isclose(accuracy_score(case.labels, case.predicted), case.metrics.accuracy)
    assert len(case.labels) == case.metrics.rows


@settings(deadline=None, max_examples=50)
@given(cases())
def test_macro_f1_is_scikit_learns(case: Case) -> None:
    """The mean over the classes that are true or predicted somewhere."""
    from sklearn.metrics import f1_score

    expected = f1_score(case.labels, case.predicted, average="macro", zero_division=0)

    assert math.isclose(expected, case.metrics.macro_f1, abs_tol=1e-12)


@settings(deadline=None, max_examples=50)
@given(cases())
def test_log_loss_is_scikit_learns(case: Case) -> None:
    """The mean of -ln p(true class), in nats, in the order of the classes."""
    from sklearn.metrics import log_loss

    expected = log_loss(case.labels.tolist(), case.probabilities, labels=list(case.classes))

    assert math.isclose(expected, case.metrics.log_loss, rel_tol=1e-9)


@settings(deadline=None, max_examples=50)
@given(cases())
def test_recall_is_scikit_learns(case: Case) -> None:
    """One figure for each class that has a row, in the order of the classes, and none for the others."""
    from sklearn.metrics import recall_score

    present = [name for name in case.classes if name in set(case.labels)]
    expected = recall_score(
        case.labels.tolist(), case.predicted.tolist(), labels=present, average=None, zero_division=0
    )

    assert present == list(case.metrics.recall)
    np.testing.assert_allclose(list(case.metrics.recall.values()), expected)


@settings(deadline=None, max_examples=50)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(case: Case, random: Any) -> None:
    """Shuffled rows have the same figures."""
    order = list(range(len(case.labels)))
    random.shuffle(order)
    shuffled = Case(case.classes, case.labels[order], case.probabilities[order]).metrics

    assert (case.metrics.accuracy, case.metrics.macro_f1) == (shuffled.accuracy, shuffled.macro_f1)
    assert case.metrics.recall == shuffled.recall
    assert math.isclose(case.metrics.log_loss, shuffled.log_loss)


def test_a_perfect_classifier() -> None:
    """Certain and right: every ratio is 1, log-loss is 0."""
    metrics = of("abc", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]).metrics

    assert scores.Metrics(3, 1.0, 1.0, 0.0, {"a": 1.0, "b": 1.0, "c": 1.0}) == metrics


def test_a_classifier_that_is_certain_and_wrong() -> None:
    """Log-loss stays finite: a probability of 0 counts as 1e-15."""
    metrics = of("ab", [[0, 1], [1, 0]]).metrics

    assert (0.0, 0.0, {"a": 0.0, "b": 0.0}) == (metrics.accuracy, metrics.macro_f1, metrics.recall)
    assert math.isclose(-math.log(1e-15), metrics.log_loss)


def test_a_class_without_rows_has_no_recall_but_its_false_alarms_count() -> None:
    """A class that is predicted and never true has an F1 of 0 in the mean, and no recall."""
    metrics = of("aa", [[0.9, 0.1], [0.2, 0.8]]).metrics

    assert {"a": 0.5} == metrics.recall
    assert math.isclose((2 / 3 + 0) / 2, metrics.macro_f1)


def test_a_class_on_neither_side_is_left_out() -> None:
    """A class that is neither true nor predicted does not lower macro-F1."""
    assert of("ab", [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]).metrics.macro_f1 == 1.0


def test_log_loss_by_hand() -> None:
    """Probabilities of 1/2 and 1/4 for the true class: the mean of ln 2 and ln 4."""
    metrics = of("ab", [[0.5, 0.5], [0.75, 0.25]]).metrics

    assert math.isclose((math.log(2) + math.log(4)) / 2, metrics.log_loss)


def test_figures_are_plain_values() -> None:
    """As a dict they can be written to JSON and YAML: no NumPy in them."""
    plain = of("ab", [[0.5, 0.5], [0.75, 0.25]]).metrics.as_dict()

    assert ["rows", "accuracy", "macro_f1", "log_loss", "recall"] == list(plain)
    assert [int, float, float, float, dict] == [type(value) for value in plain.values()]
    assert {float} == {type(value) for value in plain["recall"].values()}
    assert b"numpy" not in pickle.dumps(plain)


def test_an_unknown_label_is_an_error() -> None:
    """It is not counted as a wrong prediction."""
    with pytest.raises(KeyError, match="c"):
        of("ac", [[0.5, 0.5], [0.5, 0.5]]).measure()


# ----------------------------------------------------------------------------- figures with intervals


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (9, 10), (50, 100), (0, 1000), (997, 1000)])
def test_wilsons_interval_is_that_of_scipy(hits: int, n: int) -> None:
    """Share, rows and limits are equal."""
    found = scores.wilson(hits, n)
    theirs = binomtest(hits, n).proportion_ci(method="wilson")

    assert found is not None
    assert (hits / n, n) == (found.value, found.n)
    assert (theirs.low, theirs.high) == pytest.approx((found.low, found.high), abs=1e-12)


def test_no_rows_have_no_share() -> None:
    """There is no figure, and no division by zero."""
    assert scores.wilson(0, 0) is None
    assert scores.scores({}, ("a", "b")) is None
    assert scores.scores({("once", "once"): 3}, ("a", "b")) is None


def test_scores_are_those_of_scikit_learn() -> None:
    """Accuracy, macro-F1 and recalls from counts are equal to scikit-learn's from rows."""
    rng = np.random.default_rng(1)
    classes = ("a", "b", "c")
    truth = rng.choice(classes, 300, p=[0.6, 0.3, 0.1])
    said = np.where(rng.random(300) < 0.7, truth, rng.choice(classes, 300))
    found = scores.scores(Counter(zip(said.tolist(), truth.tolist(), strict=True)), classes)

    assert found is not None
    assert accuracy_score(truth, said) == pytest.approx(found.accuracy.value)
    assert f1_score(truth, said, average="macro") == pytest.approx(found.macro_f1)
    assert recall_score(truth, said, average=None).tolist() == pytest.approx(
        [found.recall[name].value for name in classes]
    )
    assert Counter(truth.tolist()) == {name: share.n for name, share in found.recall.items()}


def test_the_fall_of_accuracy_is_tested_by_tangos_score() -> None:
    """The bound of an R package for its example: 40 and 20 of 160 rows, 95 % from 0.0289 to 0.2174."""
    assert scores.p_of_fall(40, 20, 160, 0.2174) == pytest.approx(0.025, abs=0.002)
    assert scores.p_of_fall(20, 40, 160, 0.0) == pytest.approx(0.0049, abs=1e-3)


def test_few_rows_do_not_show_that_a_model_is_as_good() -> None:
    """Though they are all alike: at a margin of 0.1 it takes 25 of them."""
    assert scores.p_of_fall(0, 0, 24, 0.1) > 0.05 > scores.p_of_fall(0, 0, 25, 0.1)
    assert (0.5, 0.0) == (scores.p_of_fall(0, 0, 9, 0.0), scores.p_of_fall(9, 0, 9, 1.0))


@pytest.mark.parametrize(
    ("n", "equal_passed", "mcnemar_passed"), [(30, 0.4, 0.5), (100, 0.9, 0.1), (1_000, 0.99, 0.0)]
)
def test_a_less_accurate_model_is_seldom_passed(n: int, equal_passed: float, mcnemar_passed: float) -> None:
    """5 of 100 models that are wrong on a tenth more of rows pass; of 30 rows McNemar's would pass most.

    On few rows an equal model is often not shown to be as good.
    """
    rng, margin, other = np.random.default_rng(0), 0.1, 0.06
    bad, equal = (
        rng.multinomial(n, [other / 2 + fall, other / 2, 1 - other - fall], 1_500) for fall in (margin, 0)
    )

    def passed(rows: np.ndarray, margin: float, level: float) -> float:
        return float(np.mean([scores.p_of_fall(b, c, n, margin) <= level for b, c, _ in rows.tolist()]))

    assert passed(bad, margin, 0.05) <= 0.065
    assert passed(equal, margin, 0.05) >= equal_passed
    assert passed(bad, 0.0, 0.95) >= mcnemar_passed  # "not significantly worse"
