"""What tests need to know of features and targets of some kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.features.category import Category
from models_store.features.feature import Feature
from models_store.features.integer import Integer
from models_store.features.number import Number
from models_store.spec import Spec
from models_store.targets.classes import Classes


def categories(feature: Feature) -> tuple[str, ...]:
    """Return the categories of a feature; there are none if it is of another kind."""
    return feature.categories if isinstance(feature, Category) else ()


def is_measured(feature: Feature) -> bool:
    """Return whether a feature is a number or a whole number, which have a range."""
    return isinstance(feature, Number | Integer)


def limits(feature: Feature) -> tuple[float, float]:
    """Return the range of a number or whole number."""
    assert isinstance(feature, Number | Integer)
    return feature.low, feature.high


def predicts_classes(spec: Spec) -> bool:
    """Return whether a model answers with a class; others answer with a number."""
    return isinstance(spec.target, Classes)


def figures(spec: Spec, body: Mapping[str, Any]) -> list[float]:
    """Return the numbers of an answer: the probability of each class, or the predicted number."""
    return list(body["probabilities"].values()) if predicts_classes(spec) else [body["predicted_value"]]


def ask(spec: Spec, pipeline: Any, frame: Any) -> NDArray[np.float64]:
    """Return these numbers as a fitted pipeline says them, one row each."""
    said = pipeline.predict_proba(frame) if predicts_classes(spec) else pipeline.predict(frame)
    return np.asarray(said, np.float64).reshape(len(frame), -1)


def tolerance(spec: Spec) -> float:
    """Return how far these numbers of a graph may differ from those of its pipeline."""
    return 1e-6 if predicts_classes(spec) else 1e-5 * float(np.std(spec.load()[1]))
