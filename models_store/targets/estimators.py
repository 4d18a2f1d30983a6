"""Which estimators fit a target; the others are refused, each in a sentence with its remedy."""

from __future__ import annotations

from typing import Any

from models_store.errors import InvalidSpec
from models_store.targets.numbered import Numbered

REFUSALS = {
    "regressor": "predicts a number: use a classifier, or declare target=quantity(...)",
    "clusterer": "finds groups without labels: use a classifier",
    "outlier_detector": "finds outliers without labels: use a classifier of both kinds of rows",
    "density_estimator": "estimates a density: use a classifier",
}
"""By scikit-learn's type of an estimator, where the target is classes."""

OF_QUANTITIES = {
    "classifier": "predicts classes: use a regressor, or declare target=classes(...)",
    "clusterer": "finds groups without labels: use a regressor",
    "outlier_detector": "finds outliers without labels: use a regressor",
    "density_estimator": "estimates a density: use a regressor",
}
"""The same where the target is a quantity."""

NO_PROBABILITIES = (
    "has no predict_proba after its fit: wrap it in CalibratedClassifierCV, from sklearn.calibration"
)


def demand_classifier(pipeline: Any) -> None:
    """Refuse what is no classifier with one label a row, before the fit.

    Raises
    ------
    InvalidSpec
    """
    from sklearn.multioutput import ClassifierChain, MultiOutputClassifier

    _demand(pipeline, REFUSALS, (MultiOutputClassifier, ClassifierChain))


def demand_regressor(pipeline: Any) -> None:
    """Refuse what does not predict one number a row, before the fit.

    Raises
    ------
    InvalidSpec
    """
    from sklearn.multioutput import MultiOutputRegressor, RegressorChain

    _demand(pipeline, OF_QUANTITIES, (MultiOutputRegressor, RegressorChain))


def _demand(pipeline: Any, refusals: dict[str, str], of_several: tuple[type, ...]) -> None:
    if isinstance(pipeline, type):
        raise InvalidSpec(
            f"pipeline() returns the class {pipeline.__name__}: return an estimator, not fitted"
        )
    if not hasattr(pipeline, "fit"):
        raise InvalidSpec(f"pipeline() returns {type(pipeline).__name__}: return an estimator, not fitted")
    name = type(last_step(pipeline)).__name__
    kind = _kind(pipeline)
    if kind in refusals:
        raise InvalidSpec(f"{name} {refusals[kind]}")
    if isinstance(last_step(pipeline), of_several):
        raise InvalidSpec(f"{name} predicts several labels a row: a model predicts one")


def demand_unfitted(pipeline: Any) -> None:
    """Refuse an estimator that is fitted: training would fit it again.

    Raises
    ------
    InvalidSpec
    """
    last = last_step(pipeline)
    if _is_fitted(last):
        raise InvalidSpec(
            f"pipeline() returns {type(last).__name__} fitted, and training would fit it again: return a"
            " new estimator at each call; to keep a fit, wrap it as FrozenEstimator(...) of sklearn.frozen,"
            " or bring in the whole model by `loop import`"
        )


def _is_fitted(step: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.frozen import FrozenEstimator
    from sklearn.utils import get_tags
    from sklearn.utils.validation import check_is_fitted

    if isinstance(step, FrozenEstimator) or not hasattr(step, "fit"):
        return False
    try:
        check_is_fitted(step)
        return bool(get_tags(step).requires_fit)
    except (NotFittedError, AttributeError, TypeError):  # or it is of another library, without tags
        return False


def _kind(pipeline: Any) -> str:
    """Return scikit-learn's type of an estimator, an empty text for one of another library."""
    from sklearn.utils import get_tags

    try:
        return str(get_tags(pipeline).estimator_type)
    except (AttributeError, TypeError):
        return ""


def demand_probabilities(pipeline: Any) -> None:
    """Refuse a fitted classifier without probabilities.

    Raises
    ------
    InvalidSpec
    """
    demand_predictions(pipeline, "classifier")
    if not hasattr(pipeline, "predict_proba"):
        raise InvalidSpec(f"{type(last_step(pipeline)).__name__} {NO_PROBABILITIES}")


def demand_predictions(pipeline: Any, wanted: str = "regressor") -> None:
    """Refuse what predicts nothing after its fit.

    Raises
    ------
    InvalidSpec
    """
    if pipeline is None:
        raise InvalidSpec("the fit() of its pipeline returns nothing: return self")
    name = type(last_step(pipeline)).__name__
    if not hasattr(pipeline, "predict"):
        raise InvalidSpec(f"{name} predicts nothing: end the pipeline with a {wanted}")


def last_step(pipeline: Any) -> Any:
    """Return the last step of a pipeline, or the estimator itself; of one behind labels, that inside."""
    steps = getattr(pipeline, "steps", None)
    last = steps[-1][1] if steps else pipeline
    return last.estimator if isinstance(last, Numbered) else last
