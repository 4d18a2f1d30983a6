"""A spec's scikit-learn pipeline, fitted and asked with columns: they become frames only here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.errors import InvalidSpec
from models_store.layout import Layout
from models_store.spec import Columns, Spec

if TYPE_CHECKING:
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
        n rows.
    weights
        The weight of each row, in [0, 1]. An estimator that takes no weights is fitted on a random
        draw: a row of weight w is drawn with probability w.

    Raises
    ------
    InvalidSpec
        When the pipeline gives no probabilities.
    """
    pipeline, X, y = spec.pipeline(seed), spec.frame(columns), np.array(labels, object)
    if not hasattr(pipeline, "predict_proba"):
        raise InvalidSpec(f"{spec.name}: its pipeline has no predict_proba")
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


def probabilities(pipeline: ClassifierMixin, layout: Layout, columns: Columns) -> NDArray[np.float64]:
    """Return the probability of each class, shape (n, classes), in the spec's class order.

    Parameters
    ----------
    layout
        That of the frame that the pipeline was fitted on.
    """
    return np.asarray(pipeline.predict_proba(layout.frame(columns)), np.float64)


def estimator(pipeline: ClassifierMixin) -> Any:
    """Return the last step of a pipeline, or the classifier itself."""
    steps = getattr(pipeline, "steps", None)
    return steps[-1][1] if steps else pipeline
