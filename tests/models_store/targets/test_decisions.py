"""The rule of a version, and the proof that it says what `predict` says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models_store import compiled
from models_store.compiled import Compiled, Session
from models_store.errors import InvalidSpec
from models_store.spec import Features, Spec, classes, number
from models_store.targets.decisions import (
    TOLERANCE,
    Agreement,
    ClassProof,
    Decision,
    thresholds_of,
    without_threshold,
)

ROWS = 600
NAMES = ("x0", "x1", "x2", "x3")


class Payment(Features):
    """Four figures of a payment."""

    x0: float = number("One", unit="", low=-9, high=9, example=0)
    x1: float = number("Two", unit="", low=-9, high=9, example=0)
    x2: float = number("Three", unit="", low=-9, high=9, example=0)
    x3: float = number("Four", unit="", low=-9, high=9, example=0)


def load() -> tuple[pd.DataFrame, pd.Series]:
    """Return payments, of which one in ten is a fraud."""
    from sklearn.datasets import make_classification

    X, y = make_classification(
        ROWS, 4, n_informative=3, n_redundant=0, weights=[0.9], class_sep=0.7, random_state=0
    )
    return pd.DataFrame(X.clip(-9, 9), columns=NAMES), pd.Series(y).map({0: "fine", 1: "fraud"})


def logistic() -> Any:
    """A linear model."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression())


def fixed(inner: Any, **changes: Any) -> Any:
    """Decide for a fraud from a low probability on."""
    from sklearn.model_selection import FixedThresholdClassifier

    return FixedThresholdClassifier(inner, **{"threshold": 0.2, "pos_label": "fraud", **changes})


def tuned(scoring: Any = "balanced_accuracy") -> Any:
    """Tune the threshold."""
    from sklearn.model_selection import TunedThresholdClassifierCV

    return TunedThresholdClassifierCV(logistic(), cv=3, scoring=scoring)


def forest(trees: int = 50) -> Any:
    """Trees, whose probabilities are multiples of one over their number."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(trees, max_depth=4, random_state=0)


def support_vectors() -> Any:
    """A machine whose `predict` differs from its probabilities."""
    from sklearn.svm import SVC

    with pytest.warns(FutureWarning, match="probability"):
        return SVC(probability=True, random_state=0).fit(*of_three()).set_params()


def of_three() -> tuple[pd.DataFrame, pd.Series]:
    """Return rows of three classes that overlap."""
    from sklearn.datasets import make_blobs

    X, y = make_blobs(300, 4, centers=3, cluster_std=6, random_state=0)
    return pd.DataFrame(X.clip(-9, 9), columns=NAMES), pd.Series(y).map(dict(enumerate("abc")))


FRAUD = Spec("fraud", "Fraud", Payment, classes("fine", "fraud"), load, lambda _: logistic())


def build(pipeline: Any, spec: Spec = FRAUD) -> tuple[Any, Compiled]:
    """Fit and compile."""
    X, y = spec.load()
    fitted = pipeline.fit(X, y)
    return fitted, compiled.build(fitted, spec, spec.columns_of(X), seed=0)


def differing(spec: Spec, pipeline: Any, found: Compiled) -> int:
    """Count other rows on which the version does not say what `predict` says."""
    columns = spec.random_columns(5_000, np.random.default_rng(99))
    said = spec.target.read(pipeline.predict(spec.frame(columns)))
    if found.onnx is not None:
        answers = Session(found.onnx, spec).scorer(found.decision)(columns)
    else:
        answers = spec.target.ask(pipeline, spec.frame(columns), found.decision)
    return sum(text != label for text, label in zip(spec.target.said(answers).classes, said, strict=True))


@pytest.mark.parametrize(
    ("pipeline", "rule"),
    [
        (logistic, "argmax"),
        (forest, "argmax"),
        (lambda: fixed(logistic()), "threshold"),
        (lambda: fixed(logistic(), pos_label="fine", threshold=0.9), "threshold"),
        (lambda: fixed(forest()), "threshold"),
        (lambda: fixed(forest(), response_method="predict_proba"), "threshold"),
        (tuned, "threshold"),
    ],
    ids=["most probable", "trees", "fixed", "of the other class", "fixed trees", "named", "tuned"],
)
def test_a_compiled_version_says_what_predict_says(pipeline: Callable[[], Any], rule: str) -> None:
    """The rule is found, and holds on rows that the proof did not see."""
    fitted, found = build(pipeline())

    assert found.onnx is not None, found.reason
    assert found.agreement is not None
    assert (rule, 0) == (found.decision.rule, found.agreement.other_class)
    assert differing(FRAUD, fitted, found) <= 5


def test_a_threshold_makes_a_difference() -> None:
    """Otherwise these tests would show nothing: the most probable class is another one on some rows."""
    fitted, found = build(fixed(logistic()))

    assert Decision("threshold", 1, 0.2) == found.decision
    assert "fraud from a probability of 0.2 on" == found.decision.words(FRAUD.target.texts)
    assert differing(FRAUD, fitted, replace(found, decision=Decision())) > 500


def test_one_fraud_in_200_payments_is_flagged_as_predict_flags_it() -> None:
    """With a threshold of 0.02 `predict` flags many rows; the most probable class would flag none."""
    from sklearn.datasets import make_classification

    X, y = make_classification(
        8_000,
        4,
        n_informative=4,
        n_redundant=0,
        weights=[0.995],
        flip_y=0.001,
        class_sep=0.8,
        random_state=0,
    )
    rows = pd.DataFrame(X.clip(-9, 9), columns=NAMES)
    labels = pd.Series(y).map({0: "fine", 1: "fraud"})
    spec = replace(FRAUD, load=lambda: (rows[:6_000], labels[:6_000]))
    fitted, found = build(fixed(logistic(), threshold=0.02), spec)
    columns = spec.columns_of(rows[6_000:])
    assert found.onnx is not None
    flagged = {
        decision.rule: Session(found.onnx, spec).scorer(decision)(columns).best.astype(bool)
        for decision in (found.decision, Decision())
    }

    assert (fitted.predict(rows[6_000:]) == "fraud").tolist() == flagged["threshold"].tolist()
    assert flagged["threshold"].sum() > 20
    assert 0 == flagged["argmax"].sum()


def test_a_tuned_threshold_of_the_first_class_is_found() -> None:
    """The estimator keeps its positive class to itself: the proof tells which it is."""
    from sklearn.metrics import f1_score, make_scorer

    fitted, found = build(tuned(make_scorer(f1_score, pos_label="fine")))

    assert ("threshold", 0) == (found.decision.rule, found.decision.position)
    assert differing(FRAUD, fitted, found) == 0


def test_a_threshold_on_a_score_is_no_threshold_on_a_probability() -> None:
    """It is served by `predict`."""
    fitted, found = build(fixed(logistic(), response_method="decision_function", threshold=-1.0))

    assert [] == thresholds_of(fitted)
    assert fitted is without_threshold(fitted)
    assert (None, "predict") == (found.onnx, found.decision.rule)
    assert differing(FRAUD, fitted, found) == 0


@lru_cache
def machine() -> tuple[Spec, Any, Compiled]:
    """Build support vectors of three classes, once."""
    spec = replace(FRAUD, target=classes("a", "b", "c"), load=of_three)
    fitted = support_vectors()
    X, _ = of_three()
    return spec, fitted, compiled.build(fitted, spec, spec.columns_of(X), seed=0)


@pytest.mark.filterwarnings("ignore:Attribute .prob[AB]_:FutureWarning")
def test_the_label_of_the_graph_is_a_rule() -> None:
    """The most probable class differs from `predict` on many rows, and the graph's label on none."""
    spec, fitted, found = machine()

    assert found.onnx is not None, found.reason
    assert "label" == found.decision.rule
    assert "the label of the graph" == found.decision.words(spec.target.texts)
    assert differing(spec, fitted, found) == 0
    assert differing(spec, fitted, replace(found, decision=Decision())) > 50


class Contrary:
    """A classifier whose `predict` follows no rule of ours."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.classes_ = inner.classes_

    def predict_proba(self, X: Any) -> Any:
        return self.inner.predict_proba(X)

    def predict(self, X: Any) -> Any:
        return self.classes_[(np.asarray(X)[:, 0] > 0).astype(int)]


def test_what_no_rule_explains_is_served_by_predict() -> None:
    """Its probabilities are shown, and its class is that of `predict`."""
    X, y = load()
    contrary = Contrary(logistic().fit(X, y))
    found = compiled.build(contrary, FRAUD, FRAUD.columns_of(X), seed=0)

    assert (None, Decision("predict")) == (found.onnx, found.decision)
    assert "the label of scikit-learn's predict" == found.decision.words(FRAUD.target.texts)
    assert differing(FRAUD, contrary, found) == 0


def test_a_label_that_is_no_class_is_refused() -> None:
    """A `predict` that answers other labels than the classes can't be served."""
    X, y = load()
    strange = Contrary(logistic().fit(X, y))
    strange.classes_ = np.array(["fine", "theft"], object)

    with pytest.raises(InvalidSpec, match="fraud: its predict answers 'theft', which is no class"):
        compiled.build(strange, FRAUD, FRAUD.columns_of(X), seed=0)


@pytest.mark.parametrize(
    ("labels", "values"),
    [(("fine", "fraud"), ["fine", "fraud"]), ((0, 1), [0, 1]), ((False, True), [False, True])],
)
def test_labels_of_every_type_are_proved(labels: tuple[Any, ...], values: list[Any]) -> None:
    """The graph and the pipeline give the same class, whatever its type is."""

    def typed() -> tuple[pd.DataFrame, pd.Series]:
        X, y = load()
        return X, y.map({"fine": values[0], "fraud": values[1]})

    spec = replace(FRAUD, target=classes(*labels), load=typed)
    for pipeline in (logistic(), fixed(forest(), pos_label=values[1])):
        fitted, found = build(pipeline, spec)
        assert found.onnx is not None, found.reason
        assert differing(spec, fitted, found) <= 5


def test_rows_on_a_boundary_are_counted_apart() -> None:
    """A tie that falls to the other side is no other class, however many there are."""
    p = np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]])

    class Tied:
        classes_ = np.array(["fine", "fraud"], object)

        def predict_proba(self, _: Any) -> Any:
            return p

        def predict(self, _: Any) -> Any:
            return np.array(["fraud", "fine", "fraud"], object)

    proof = ClassProof(Tied(), ("fine", "fraud"), None)
    agreement, decision, words = proof.compare([p])

    assert agreement is not None
    assert (0, 1, True) == (agreement.other_class, agreement.ties, agreement.holds)
    assert (Decision(), "agrees on 3 rows, 1 of them on a boundary") == (decision, words)
    assert Decision("predict") == proof.own(), "scikit-learn itself can be asked"

    agreement, decision, words = proof.compare([p, np.array(["fraud", "fine", "fraud"], object)])

    assert (Decision("label"), "agrees on 3 rows") == (decision, words), "the rule with the fewest ties"


@pytest.mark.parametrize(
    ("max_difference", "other_class", "ties", "holds"),
    [
        (0.0, 0, 0, True),
        (TOLERANCE, 0, 0, True),
        (1.1e-6, 0, 0, False),
        (0.0, 1, 0, False),
        (0.0, 0, 10, True),
        (0.0, 0, 10_000, True),
        (float("inf"), 0, 0, False),
    ],
)
def test_agreement_holds_only_for_the_same_class_and_nearly_the_same_figures(
    max_difference: float, other_class: int, ties: int, holds: bool
) -> None:
    """One other class or one larger difference, and it does not hold; ties are neither."""
    agreement = Agreement(rows=10_000, max_difference=max_difference, other_class=other_class, ties=ties)

    assert holds == agreement.holds
    facts = {"rows": 10_000, "max_difference": max_difference, "other_class": other_class, "ties": ties}
    assert facts == agreement.as_dict()
    assert ("agrees on 10000 rows" in agreement.words) is holds


@pytest.mark.parametrize("decision", [Decision(), Decision("threshold", 0, 0.25), Decision("predict")])
def test_a_decision_is_plain_values_and_back(decision: Decision) -> None:
    """A version keeps it; one of the first release has none, and decides for the most probable class."""
    target = FRAUD.target

    assert decision == target.decision({"decision": decision.as_dict()})
    assert Decision() == target.decision({"probabilities": []})


@pytest.mark.parametrize(
    "stated",
    [
        {"rule": "vote"},
        {"rule": "argmax", "weights": 1},
        {"rule": "threshold"},
        {"rule": "argmax", "position": 1, "threshold": 0.5},
    ],
)
def test_an_unknown_decision_is_not_taken_for_a_known_one(stated: dict[str, Any]) -> None:
    """A version of a newer release is not loaded, and lists of versions show the name of its rule."""
    with pytest.raises((TypeError, ValueError)):
        FRAUD.target.decision({"decision": stated})
    assert stated["rule"] == FRAUD.target.describe_decision({"decision": stated})


def test_a_decision_is_described() -> None:
    """In words, as tables and lists of versions show it."""
    threshold = Decision("threshold", 1, 0.02).as_dict()

    assert "fraud from a probability of 0.02 on" == FRAUD.target.describe_decision({"decision": threshold})
    assert "the most probable class" == FRAUD.target.describe_decision({})


def test_a_threshold_has_a_tolerance() -> None:
    """A probability that is a hair below is on the threshold: float32 and float64 differ by as much."""
    decide = Decision("threshold", 1, 0.2).decider(("fine", "fraud"))
    p = np.array([[0.8, 0.2], [0.8, 0.2 - 9e-7], [0.8, 0.2 - 2e-6], [0.1, 0.9]])

    assert [1, 1, 0, 1] == decide([p]).tolist()
