"""A spec's scikit-learn pipeline, fitted and asked with columns: they become frames only here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store import failures
from models_store.errors import InvalidSpec
from models_store.spec import Columns, Spec
from models_store.validation import listing

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from sklearn.base import ClassifierMixin


def fit(
    spec: Spec, seed: int, columns: Columns, labels: Sequence[str], weights: Sequence[float]
) -> ClassifierMixin:
    """Make a spec's pipeline and fit it.

    Parameters
    ----------
    seed
        For the pipeline, and for the draw of rows.
    columns, labels
        n rows; the labels are canonical texts.
    weights
        The weight of each row, in [0, 1]. An estimator that takes no weights is fitted on a random
        draw: a row of weight w is drawn with probability w.

    Raises
    ------
    InvalidSpec
        When the pipeline can't be made or fitted, or gives no probabilities of the spec's classes. The
        message names the step, the cause and the remedy.
    """
    with failures.blamed(spec.name, "pipeline()", spec.pipeline, "it must return an estimator"):
        pipeline = spec.pipeline(seed)
    if isinstance(pipeline, type) or not hasattr(pipeline, "fit"):
        is_class = isinstance(pipeline, type)
        found = (
            f"the class {pipeline.__name__}" if is_class else f"{type(pipeline).__name__} without a fit()"
        )
        raise InvalidSpec(f"{spec.name}: pipeline() returns {found}: return an estimator, not fitted")
    X, y = spec.frame(columns), spec.target.as_y(labels)
    remedy = "it must fit the rows and labels of load()"
    with failures.blamed(spec.name, f"fit on {len(y)} rows", spec.pipeline, remedy):
        fitted = _fit(pipeline, X, y, weights, seed)
    _check(spec, fitted)
    return fitted


def _check(spec: Spec, fitted: Any) -> None:
    """Check what an estimator has after its fit: Stacking, for example, has no `predict_proba` before."""
    if fitted is None:
        raise InvalidSpec(f"{spec.name}: the fit() of its pipeline returns nothing: return self")
    if not hasattr(fitted, "predict_proba"):
        raise InvalidSpec(
            f"{spec.name}: its pipeline has no predict_proba after the fit ({type(fitted).__name__}):"
            " wrap the estimator in CalibratedClassifierCV"
        )
    labels = list(spec.target.labels)
    found = getattr(fitted, "classes_", None)
    if found is None or np.asarray(found).tolist() != labels:
        shown = "no classes_" if found is None else f"the classes {listing(map(str, found))}"
        raise InvalidSpec(
            f"{spec.name}: its pipeline has {shown} after the fit, not {listing(map(str, labels))}:"
            " each class needs rows to train on, and classes_ has the labels as they are declared"
        )


def _fit(pipeline: Any, X: pd.DataFrame, y: NDArray[Any], weights: Sequence[float], seed: int) -> Any:
    if set(weights) == {1.0}:
        return pipeline.fit(X, y)
    from sklearn.utils.validation import has_fit_parameter

    weight = np.array(weights)
    if not has_fit_parameter(estimator(pipeline), "sample_weight"):
        drawn = np.random.default_rng(seed).random(len(weight)) < weight
        return pipeline.fit(X[drawn], y[drawn])
    steps = getattr(pipeline, "steps", None)
    name = f"{steps[-1][0]}__sample_weight" if steps else "sample_weight"
    return pipeline.fit(X, y, **{name: weight})


def probabilities(pipeline: ClassifierMixin, spec: Spec, columns: Columns) -> NDArray[np.float64]:
    """Return the probability of each class, shape (n, classes), in the spec's class order."""
    return np.asarray(pipeline.predict_proba(spec.frame(columns)), np.float64)


def answers(pipeline: ClassifierMixin, spec: Spec, columns: Columns, rows: str) -> NDArray[np.float64]:
    """Return the probabilities of rows in a training.

    Parameters
    ----------
    rows
        Which rows these are, for the message.

    Raises
    ------
    InvalidSpec
        When the pipeline can't answer a row.
    """
    remedy = "each row that the features allow must get an answer"
    with failures.blamed(spec.name, f"predict_proba on {rows}", spec.pipeline, remedy):
        return probabilities(pipeline, spec, columns)


def checked(pipeline: ClassifierMixin, spec: Spec, columns: Columns, rows: str) -> NDArray[np.float64]:
    """Return the probabilities of rows in a training: one finite number for each row and class.

    Raises
    ------
    InvalidSpec
        When the pipeline can't answer a row, or answers with something else.
    """
    found = answers(pipeline, spec, columns, rows)
    expected = (len(next(iter(columns.values()))), len(spec.target.labels))
    if found.shape != expected or not np.isfinite(found).all():
        shown = (
            f"an array of shape {found.shape}" if found.shape != expected else "values that are no numbers"
        )
        raise InvalidSpec(
            f"{spec.name}: predict_proba on {rows} gives {shown}: it must give a probability for each of"
            f" {expected[0]} rows and {expected[1]} classes"
        )
    return found


def estimator(pipeline: ClassifierMixin) -> Any:
    """Return the last step of a pipeline, or the classifier itself."""
    steps = getattr(pipeline, "steps", None)
    return steps[-1][1] if steps else pipeline
