"""A spec's scikit-learn pipeline: how it is fitted with weights, and what it answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models_store import catalog, pipelines
from models_store.errors import InvalidSpec
from models_store.spec import Columns, Cost, Spec, classes
from models_store.targets.decisions import Decision
from models_store.targets.estimators import last_step

SPEC = catalog.load()["iris"]


def dataset() -> tuple[Columns, list[str]]:
    """Return the columns and the labels of iris."""
    X, y = SPEC.load()
    return SPEC.columns_of(X), y.tolist()


def spec_with(pipeline: Any) -> Spec:
    """Return iris with another pipeline."""
    return replace(SPEC, pipeline=pipeline)


def neighbours(_: int) -> Any:
    """A classifier that takes no weights."""
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(3)


def bare(_: int) -> Any:
    """A classifier that takes weights and is not in a pipeline."""
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(random_state=0)


def margins(seed: int) -> Any:
    """A classifier that gives no probabilities."""
    from sklearn.svm import LinearSVC

    return LinearSVC(random_state=seed)


@pytest.mark.parametrize("pipeline", [SPEC.pipeline, bare], ids=["in a pipeline", "alone"])
def test_rows_of_weight_zero_teach_nothing(pipeline: Any) -> None:
    """The weights reach the estimator: without versicolor, none of its rows is recognised."""
    columns, labels = dataset()
    weights = [0.0 if label == "versicolor" else 1.0 for label in labels]

    fitted = pipelines.fit(spec_with(pipeline), 0, columns, labels, weights)

    predicted = pipelines.answers(fitted, SPEC, columns).best
    share = float((predicted[np.array(labels) == "versicolor"] == 1).mean())
    assert share == 0.0


def test_an_estimator_without_weights_is_fitted_on_a_draw() -> None:
    """A row of weight w is drawn with probability w, and a row of weight 1 always."""
    columns, labels = dataset()
    many = {name: [*values] * 20 for name, values in columns.items()}
    weights = [1.0] * 150 + [0.1] * (150 * 19)

    fitted = pipelines.fit(spec_with(neighbours), 0, many, labels * 20, weights)

    assert 150 + 200 < fitted.n_samples_fit_ < 150 + 370


def test_the_same_seed_draws_the_same_rows() -> None:
    """Another seed draws others."""
    columns, labels = dataset()
    one, same, other = (
        pipelines.fit(spec_with(neighbours), seed, columns, labels, [0.5] * 150) for seed in (1, 1, 2)
    )

    np.testing.assert_array_equal(one._fit_X, same._fit_X)
    assert one._fit_X.shape != other._fit_X.shape or (one._fit_X != other._fit_X).any()


def test_rows_of_weight_one_are_all_fitted_on() -> None:
    """There is no draw then."""
    columns, labels = dataset()

    assert 150 == pipelines.fit(spec_with(neighbours), 0, columns, labels, [1.0] * 150).n_samples_fit_


def test_a_pipeline_without_probabilities_is_refused() -> None:
    """The error names the model and what its pipeline lacks."""
    columns, labels = dataset()

    with pytest.raises(InvalidSpec, match="iris: LinearSVC has no predict_proba after its fit: wrap it"):
        pipelines.fit(spec_with(margins), 0, columns, labels, [1.0] * 150)


def stacked(_: int) -> Any:
    """A classifier that has `predict_proba` only after its fit."""
    from sklearn.ensemble import StackingClassifier
    from sklearn.naive_bayes import GaussianNB
    from sklearn.tree import DecisionTreeClassifier

    return StackingClassifier([("tree", DecisionTreeClassifier()), ("bayes", GaussianNB())])


def test_probabilities_that_come_with_the_fit_are_found() -> None:
    """Stacking has none before."""
    columns, labels = dataset()
    assert not hasattr(stacked(0), "predict_proba")

    fitted = pipelines.fit(spec_with(stacked), 0, columns, labels, [1.0] * 150)

    assert (150, 3) == pipelines.checked(fitted, SPEC, columns, "all rows").probabilities.shape


class Own:
    """An estimator as people write one; each part may be wrong."""

    def __init__(self, classes: Any = SPEC.target.counted, answer: Any = None, fails: str = "") -> None:
        self._classes, self._answer, self._fails = classes, answer, fails

    def fit(self, *_: Any) -> Any:
        """Learn the classes only."""
        if self._fails == "fit":
            raise ValueError("Invalid classes inferred from unique values of `y`.")
        self.classes_ = self._classes
        return None if self._fails == "self" else self

    def predict_proba(self, X: Any) -> Any:
        """Answer what the test wants."""
        if self._fails == "predict":
            raise KeyError("petal")
        return np.full((len(X), 3), 1 / 3) if self._answer is None else self._answer

    def predict(self, X: Any) -> Any:
        """Answer the first class."""
        return np.full(len(X), "setosa", object)


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        (lambda _: 1 / 0, r"pipeline\(\) failed in test_pipelines.py, line \d+: ZeroDivisionError: "),
        (
            lambda _: None,
            r"pipeline\(\) returns NoneType: return an estimator, not fitted",
        ),
        (lambda _: Own, r"pipeline\(\) returns the class Own: return an estimator, not fitted"),
        (
            lambda _: Own(fails="fit"),
            r"fit on 150 rows failed in .*, line \d+: ValueError: .* whole numbers",
        ),
        (lambda _: Own(fails="self"), r"the fit\(\) of its pipeline returns nothing: return self"),
        (lambda _: Own(classes=None), 'classes_ of its pipeline is None after the fit, not "setosa", '),
        (lambda _: Own(classes=[0, 1, 2]), 'is 0, 1, 2 after the fit, not "setosa", "versicolor", '),
        (
            lambda _: Own(fails="predict"),
            "predict on the holdout failed in .*: KeyError: 'petal': each",
        ),
        (
            lambda _: Own(answer=[[1.0]]),
            r"its predict_proba gives an array of shape \(1, 1\) for 150 rows: it must",
        ),
        (
            lambda _: Own(answer=np.full((150, 3), np.nan)),
            "predict on the holdout gives values that are no numbers: each row",
        ),
    ],
)
def test_the_error_of_an_estimator_is_one_sentence(pipeline: Any, words: str) -> None:
    """With the model, the step, the cause and what to do."""
    columns, labels = dataset()
    spec = spec_with(pipeline)

    with pytest.raises(InvalidSpec, match=f"^iris: .*{words}") as caught:
        pipelines.checked(
            pipelines.fit(spec, 0, columns, labels, [1.0] * 150), spec, columns, "the holdout"
        )

    assert "\n" not in str(caught.value)


class Tagless:
    """A classifier of no base class of scikit-learn, which has thresholds for its own classifiers only."""

    def fit(self, _: Any, y: Any) -> Tagless:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.full((len(X), 2), 0.5)

    def predict(self, X: Any) -> Any:
        return self.classes_[:1].repeat(len(X))


class BadTags(Tagless):
    """Its tags fail."""

    def __sklearn_tags__(self) -> Any:
        raise ZeroDivisionError


def test_an_estimator_that_takes_no_threshold_is_one_sentence() -> None:
    """Costs choose a threshold: the sentence names it, the cause and what to do."""
    target = classes("no", "yes", positive="yes", cost=Cost(false_alarm=1, miss=9))
    spec = replace(spec_with(lambda _: Tagless()), target=target)
    columns = {name: values[:4] for name, values in dataset()[0].items()}
    fitted = pipelines.fit(spec, 0, columns, ["no", "no", "yes", "yes"], [1.0] * 4)

    words = r"^iris: the threshold of cost= failed: AttributeError: .*: derive your own estimator from"
    with pytest.raises(InvalidSpec, match=words):
        pipelines.decided(fitted, spec, Decision("threshold", 1, 0.1))
    with pytest.raises(InvalidSpec, match=r"^iris: pipeline\(\) failed.*: ZeroDivisionError: derive"):
        pipelines.fit(replace(spec, pipeline=lambda _: BadTags()), 0, columns, ["no", "yes"] * 2, [1.0] * 4)


def test_probabilities_are_those_of_scikit_learn() -> None:
    """The columns become the frame of the fit, in any order."""
    columns, labels = dataset()
    fitted = pipelines.fit(SPEC, 0, columns, labels, [1.0] * 150)
    X, _ = SPEC.load()

    found = pipelines.answers(fitted, SPEC, dict(reversed(list(columns.items())))).probabilities

    assert (150, 3) == found.shape
    np.testing.assert_array_equal(fitted.predict_proba(X), found)


def test_the_estimator_is_the_last_step() -> None:
    """A classifier that is not in a pipeline is its own estimator."""
    assert "LogisticRegression" == type(last_step(SPEC.pipeline(0))).__name__
    assert "DecisionTreeClassifier" == type(last_step(bare(0))).__name__
