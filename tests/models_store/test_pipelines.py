"""A spec's scikit-learn pipeline: how it is fitted with weights, and what it answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models_store import catalog, pipelines
from models_store.errors import InvalidSpec
from models_store.spec import Columns, Spec
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
    many = {name: values * 20 for name, values in columns.items()}
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


def test_probabilities_are_those_of_scikit_learn() -> None:
    """The columns become the frame of the fit, in any order."""
    columns, labels = dataset()
    fitted = pipelines.fit(SPEC, 0, columns, labels, [1.0] * 150)
    X, _ = SPEC.load()

    found = pipelines.answers(fitted, SPEC, dict(reversed(columns.items()))).probabilities

    assert (150, 3) == found.shape
    np.testing.assert_array_equal(fitted.predict_proba(X), found)


def test_the_estimator_is_the_last_step() -> None:
    """A classifier that is not in a pipeline is its own estimator."""
    assert "LogisticRegression" == type(last_step(SPEC.pipeline(0))).__name__
    assert "DecisionTreeClassifier" == type(last_step(bare(0))).__name__
