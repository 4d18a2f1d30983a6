"""Estimators that do not fit a target are refused, each in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import IsolationForest, StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.mixture import GaussianMixture
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from models_store.errors import InvalidSpec
from models_store.targets import estimators
from models_store.targets.classes import classes

LOGISTIC = LogisticRegression()


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (
            LinearRegression(),
            "LinearRegression predicts a number: use a classifier, or declare target=quantity",
        ),
        (KMeans(2), "KMeans finds groups without labels: use a classifier"),
        (IsolationForest(), "IsolationForest finds outliers without labels: use a classifier"),
        (GaussianMixture(), "GaussianMixture estimates a density: use a classifier"),
        (MultiOutputClassifier(LOGISTIC), "MultiOutputClassifier predicts several labels a row"),
        (ClassifierChain(LOGISTIC), "ClassifierChain predicts several labels a row"),
    ],
)
@pytest.mark.parametrize("is_last", [False, True], ids=["alone", "in a pipeline"])
def test_what_is_no_classifier_is_refused_before_the_fit(estimator: Any, words: str, is_last: bool) -> None:
    """The sentence names the estimator and the remedy."""
    with pytest.raises(InvalidSpec, match=words):
        estimators.demand_classifier(make_pipeline(StandardScaler(), estimator) if is_last else estimator)


def test_what_is_no_estimator_is_refused() -> None:
    """For example a function that forgets its return."""
    with pytest.raises(InvalidSpec, match=r"pipeline\(\) returns NoneType: return an estimator"):
        estimators.demand_classifier(None)


ROWS, LABELS = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression().fit(ROWS, LABELS),
        make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, LABELS),
    ],
    ids=["alone", "a pipeline"],
)
def test_a_fit_is_not_lost_silently(estimator: Any) -> None:
    """Training would fit it again; the sentence says how to keep it."""
    with pytest.raises(
        InvalidSpec, match=r"fitted, and training would fit it again: .*FrozenEstimator.*import"
    ):
        estimators.demand_unfitted(estimator)


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        make_pipeline("passthrough", FunctionTransformer(), LogisticRegression()),
        FrozenEstimator(LogisticRegression().fit(ROWS, LABELS)),
        make_pipeline(FrozenEstimator(StandardScaler().fit(ROWS)), LogisticRegression()),
    ],
    ids=["not fitted", "steps without a fit", "frozen", "a frozen step"],
)
def test_what_is_not_fitted_or_frozen_is_taken(estimator: Any) -> None:
    """A frozen estimator keeps its fit when it is fitted."""
    estimators.demand_unfitted(estimator)


def test_what_predicts_nothing_is_refused() -> None:
    """A pipeline that ends with a transformer."""
    with pytest.raises(InvalidSpec, match="StandardScaler predicts nothing: end the pipeline with"):
        estimators.demand_probabilities(StandardScaler())


@pytest.mark.parametrize(
    "estimator",
    [
        LinearSVC(),
        RidgeClassifier(),
        VotingClassifier([("a", LOGISTIC), ("b", LogisticRegression(C=2))]),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_a_classifier_without_probabilities_is_refused_after_the_fit(estimator: Any) -> None:
    """With the wrapper that gives it some."""
    pipeline = make_pipeline(StandardScaler(), estimator)
    estimators.demand_classifier(pipeline)
    fitted = pipeline.fit([[0.0], [1.0], [0.0], [1.0]], ["a", "b", "a", "b"])

    words = (
        f"{type(estimator).__name__} has no predict_proba after its fit: wrap it in CalibratedClassifierCV"
    )
    with pytest.raises(InvalidSpec, match=words):
        classes("a", "b").demand_fitted(fitted)


class Foreign:
    """A classifier of another library, without tags."""

    def fit(self, _: Any, y: Any) -> Foreign:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return self.classes_[:1].repeat(len(X))

    def predict_proba(self, X: Any) -> Any:
        return np.full((len(X), 2), 0.5)


@pytest.mark.parametrize(
    "estimator",
    [
        LOGISTIC,
        OneVsRestClassifier(LOGISTIC),
        StackingClassifier([("a", LOGISTIC)], cv=2),  # has predict_proba only after the fit
        Foreign(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_classifiers_are_taken(estimator: Any) -> None:
    """Those that have probabilities after the fit, from any library."""
    X, y = np.array([[0.0], [1.0]] * 10), np.array(["a", "b"] * 10, object)
    estimators.demand_classifier(estimator)

    classes("a", "b").demand_fitted(estimator.fit(X, y))


def test_a_class_that_was_not_in_the_rows_is_named() -> None:
    """The pipeline knows fewer classes than the target."""
    fitted = LogisticRegression().fit([[0.0], [1.0]] * 3, ["a", "b"] * 3)

    with pytest.raises(InvalidSpec, match='the rows to train on have only the classes "a", "b"'):
        classes("a", "b", "c").demand_fitted(fitted)
