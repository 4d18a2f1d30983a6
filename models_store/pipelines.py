"""A spec's scikit-learn pipeline, fitted and asked with columns: they become frames only here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from models_store import failures
from models_store.errors import InvalidSpec
from models_store.layout import Layout
from models_store.spec import Columns, Spec
from models_store.targets import estimators
from models_store.targets.estimators import last_step

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from sklearn.base import ClassifierMixin

ESTIMATOR = "derive your own estimator from a mixin of scikit-learn and BaseEstimator, in this order"
"""What to do if an estimator fails where one of scikit-learn does not."""

Beside = Callable[[Columns], Any]
"""Asks a graph beside a model: returns its first output."""


def make(spec: Spec, seed: int) -> ClassifierMixin:
    """Make a spec's pipeline.

    Raises
    ------
    InvalidSpec
        When its function fails; the message names the cause and the remedy.
    """
    with failures.blamed(spec.name, "pipeline()", spec.pipeline, "it must return an estimator"):
        return spec.pipeline(seed)


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
        When the pipeline can't be made or fitted, can't learn the target, or can't answer with it. The
        message names the step, the cause and the remedy.
    """
    pipeline = make(spec, seed)
    with failures.blamed(spec.name, "pipeline()", spec.pipeline, ESTIMATOR), named(spec):
        spec.target.demand(pipeline)
        estimators.demand_unfitted(pipeline)
    pipeline = spec.target.learnable(pipeline)
    X, y = spec.frame(columns), spec.target.as_y(labels)
    remedy = "it must fit the rows and labels of load()"
    with failures.blamed(spec.name, f"fit on {len(y)} rows", spec.pipeline, remedy):
        fitted = _fit(pipeline, seed, X, y, np.array(weights))
    with failures.blamed(spec.name, "fit", spec.pipeline, ESTIMATOR), named(spec):
        spec.target.demand_fitted(fitted)
    return fitted


def decided(pipeline: ClassifierMixin, spec: Spec, decision: Any) -> ClassifierMixin:
    """Return a fitted pipeline whose `predict` follows the decision that was chosen at training.

    Raises
    ------
    InvalidSpec
        When its estimator can't be wrapped in a threshold.
    """
    with failures.blamed(spec.name, "the threshold of cost=", spec.pipeline, ESTIMATOR):
        return spec.target.decided(pipeline, decision)


@contextmanager
def named(spec: Spec) -> Iterator[None]:
    """Put the name of a spec before an error about its target."""
    try:
        yield
    except InvalidSpec as error:
        raise InvalidSpec(f"{spec.name}: {error}") from error


def _fit(
    pipeline: ClassifierMixin, seed: int, X: pd.DataFrame, y: NDArray[Any], weight: NDArray[np.float64]
) -> ClassifierMixin:
    if (weight == 1.0).all():
        return pipeline.fit(X, y)
    from sklearn.utils.validation import has_fit_parameter

    if not has_fit_parameter(last_step(pipeline), "sample_weight"):
        drawn = np.random.default_rng(seed).random(len(weight)) < weight
        return pipeline.fit(X[drawn], y[drawn])
    steps = getattr(pipeline, "steps", None)
    name = f"{steps[-1][0]}__sample_weight" if steps else "sample_weight"
    return pipeline.fit(X, y, **{name: weight})


def answers(
    pipeline: Any,
    spec: Spec,
    columns: Columns,
    decision: Any = None,
    *,
    beside: Sequence[Beside] = (),
    layout: Layout | None = None,
) -> Any:
    """Answer rows by a decision, or as `predict` does; the answers are of the spec's kind of target.

    Parameters
    ----------
    beside
        The graphs that the decision names.
    layout
        That of the frame that the pipeline was fitted on; by default the spec's.
    """
    outputs = [ask(columns) for ask in beside]
    return spec.target.ask(pipeline, (layout or spec.layout).frame(columns), decision, outputs)


def checked(pipeline: ClassifierMixin, spec: Spec, columns: Columns, rows: str) -> Any:
    """Answer rows of a training as `predict` does.

    Parameters
    ----------
    rows
        Which rows these are, for the message.

    Raises
    ------
    InvalidSpec
        When the pipeline can't answer a row, or its answers are no numbers.
    """
    remedy = "each row that the features allow must get an answer"
    with failures.blamed(spec.name, f"predict on {rows}", spec.pipeline, remedy), named(spec):
        found = answers(pipeline, spec, columns)
    if not found.is_finite:
        raise InvalidSpec(f"{spec.name}: predict on {rows} gives values that are no numbers: {remedy}")
    return found
