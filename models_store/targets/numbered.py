"""A classifier that learns only whole numbers from 0 on, behind the labels of a target.

XGBoost's is such a one. Everything else of the estimator is as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Numbered:
    """An estimator that learns the positions of labels, and answers with labels.

    Parameters
    ----------
    labels
        Sorted, as scikit-learn orders the columns of `predict_proba`.
    """

    def __init__(self, estimator: Any, labels: Sequence[Any]) -> None:
        self.estimator, self.labels = estimator, labels

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels; none before the fit."""
        if not hasattr(self, "fitted_"):
            raise AttributeError("classes_")
        return np.array(self.labels)

    def fit(self, X: Any, y: Any, **more: Any) -> Numbered:
        """Fit the estimator to the positions of the labels."""
        self.estimator.fit(X, np.searchsorted(np.array(self.labels), np.asarray(y)), **more)
        self.fitted_ = True
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return labels, shape (n,)."""
        return np.array(self.labels)[np.asarray(self.estimator.predict(X), np.intp)]

    def predict_proba(self, X: Any) -> Any:
        """Return probabilities, shape (n, classes)."""
        return self.estimator.predict_proba(X)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return what scikit-learn copies an estimator with."""
        more = self.estimator.get_params(deep=True) if deep else {}
        inner = {f"estimator__{name}": value for name, value in more.items()}
        return {"estimator": self.estimator, "labels": self.labels, **inner}

    def set_params(self, **parameters: Any) -> Numbered:
        """Set parameters of the estimator inside."""
        self.estimator.set_params(
            **{name.removeprefix("estimator__"): value for name, value in parameters.items()}
        )
        return self

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import get_tags

        return get_tags(self.estimator)


def numbered(pipeline: Any, labels: Sequence[Any]) -> Any:
    """Return a pipeline that can learn labels: that itself, or with its last step behind the labels."""
    steps = getattr(pipeline, "steps", None)
    last = steps[-1][1] if steps else pipeline
    kind = type(last)
    if not (kind.__module__.partition(".")[0] == "xgboost" and hasattr(kind, "predict_proba")):
        return pipeline
    if list(labels) == list(range(len(labels))):
        return pipeline
    made = Numbered(last, list(labels))
    if not steps:
        return made
    from sklearn.pipeline import Pipeline

    return Pipeline([*steps[:-1], (steps[-1][0], made)])
