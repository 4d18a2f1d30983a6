"""A quantity: the model of the expected error, and the factor that makes an interval of it.

Both are learned from training rows, each answered by a pipeline that had not seen it. The holdout is left
to check the intervals. If the time splits the rows, both are learned from the holdout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store import compiled, store
from models_store.spec import Columns, Spec
from models_store.targets import spreads
from models_store.targets.intervals import Width
from prediction.figures import conformal
from prediction.figures.features.number import evenly_spaced
from prediction.retraining import out_of_fold
from prediction.retraining.datasets import Dataset
from prediction.retraining.out_of_fold import OutOfFold

PREDICTED_KEPT = 1_000
"""Answers kept in the profile, to compare live ones with them."""

TINY = float(np.finfo(np.float64).tiny)
"""The mean error of a model without errors: nothing is divided by 0."""

LEAST_ERROR = 0.05
"""The least expected error of a row, as a share of the mean: a model of errors may say 0, or less."""


@dataclass(frozen=True)
class ErrorModel:
    """What is known of the errors of a version.

    Parameters
    ----------
    spread
        The standard deviation of an error's size around what was expected of its row, in the unit.
    predicted
        Answers to rows that their model had not seen, sorted; `rows` is how many there were.
    independent
        How many of the rows are independent: groups, or different rows.
    """

    width: Width
    spread: float | None
    predicted: list[float]
    rows: int
    independent: int
    graphs: Mapping[str, bytes] = field(default_factory=dict)

    def refine(self, decision: Width) -> Width:
        """Return the decision with the interval; its standard deviation stays."""
        return replace(self.width, sd=decision.sd)

    def profile(self) -> dict[str, Any]:
        """Return what the profile of the version holds of it."""
        return {
            "predicted": {"rows": self.rows, "sample": self.predicted},
            "errors": {"rows": self.width.rows, "independent": self.independent, "spread": self.spread},
        }


@dataclass(frozen=True)
class _Answered:
    """Rows that their model had not seen, with its errors; `folds` says which were answered together.

    `independent` counts groups, or different rows.
    """

    columns: Columns
    errors: NDArray[np.float64]
    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    folds: NDArray[np.intp]
    independent: int


def calibrate(unseen: OutOfFold, held_out: Any, _decision: Any) -> ErrorModel:
    """Learn how large the errors of a version are."""
    spec, seed, dataset = unseen.spec, unseen.seed, unseen.dataset
    target: Any = spec.target
    answered = _answered(unseen) if dataset.split.rule != "time" else None
    method = "folds"
    if answered is None or len(answered.errors) < conformal.needed(target.level):
        answered, method = _holdout(dataset, held_out), "holdout"
    sizes, rows = np.abs(answered.errors), len(answered.errors)
    predicted = evenly_spaced(sorted(answered.values.tolist()), PREDICTED_KEPT)
    if rows < conformal.needed(target.level):
        return ErrorModel(Width(level=target.level), None, predicted, rows, answered.independent)
    mean = float(np.average(sizes, weights=answered.weights)) or TINY
    graph, expected = _model(spec, seed, answered, LEAST_ERROR * mean)
    width = Width(
        level=target.level,
        factor=conformal.factor(sizes / expected, answered.weights, target.level),
        floor=LEAST_ERROR * mean if graph else mean,
        method=method,
        rows=rows,
        graphs=(store.SPREAD,) if graph else (),
    )
    spread = float(np.sqrt(np.average((sizes - expected) ** 2, weights=answered.weights)))
    graphs = {store.SPREAD: graph} if graph else {}
    return ErrorModel(width, spread, predicted, rows, answered.independent, graphs)


def _answered(unseen: OutOfFold) -> _Answered | None:
    """Gather the answers to training rows, each by a pipeline that was fitted on the others."""
    if not unseen.parts:
        return None
    values = [part.answers.values for part in unseen.parts]
    truth = [np.array([float(text) for text in part.labels]) for part in unseen.parts]
    rows = [row for part in unseen.parts for row in part.rows]
    columns, _ = unseen.dataset.part(rows)
    return _Answered(
        columns=columns,
        errors=np.concatenate(truth) - np.concatenate(values),
        values=np.concatenate(values),
        weights=np.concatenate([part.weights for part in unseen.parts]),
        folds=np.repeat(np.arange(len(truth)), [len(each) for each in truth]),
        independent=len({unseen.dataset.keys[row] for row in rows}),
    )


def _holdout(dataset: Dataset, held_out: Any) -> _Answered:
    columns, labels = dataset.part(dataset.holdout)
    errors = np.array([float(text) for text in labels]) - held_out.values
    folds = np.arange(len(errors)) % out_of_fold.FOLDS
    independent = len({dataset.keys[row] for row in dataset.holdout})
    return _Answered(columns, errors, held_out.values, np.ones(len(errors)), folds, independent)


def _model(
    spec: Spec, seed: int, answered: _Answered, least: float
) -> tuple[bytes | None, NDArray[np.float64]]:
    """Return the graph of the model of the error, and what is expected of each row without having seen it.

    There is no graph if there are few rows, or if the model does not compile, or if it is no better than
    the mean.
    """
    sizes, weights, folds = np.abs(answered.errors), answered.weights, answered.folds
    mean = np.full(len(sizes), float(np.average(sizes, weights=weights)) or TINY)
    if len(sizes) < spreads.MIN_ROWS or not sizes.any():
        return None, mean
    X = spec.frame(answered.columns)
    expected = mean.copy()
    for fold in np.unique(folds):
        chosen, others = folds == fold, folds != fold
        model = spreads.fit(X[others], sizes[others], weights[others], seed) if others.any() else None
        if model is None:
            return None, mean
        expected[chosen] = np.maximum(model.predict(X[chosen]), least)
    if np.average((sizes - expected) ** 2, weights=weights) >= np.average(
        (sizes - mean) ** 2, weights=weights
    ):
        return None, mean
    model = spreads.fit(X, sizes, weights, seed)
    target: Any = spec.target
    of_errors = replace(target, low=0.0, high=float("inf"))
    built = compiled.build(model, spec, answered.columns, seed, target=of_errors)
    return (built.onnx, expected) if built.onnx else (None, mean)
