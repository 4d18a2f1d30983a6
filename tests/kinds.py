"""What tests need to know of features of some kinds."""

from __future__ import annotations

from models_store.features.category import Category
from models_store.features.feature import Feature
from models_store.features.number import Number


def categories(feature: Feature) -> tuple[str, ...]:
    """Return the categories of a feature; there are none if it is of another kind."""
    return feature.categories if isinstance(feature, Category) else ()


def limits(feature: Feature) -> tuple[float, float]:
    """Return the range of a number."""
    assert isinstance(feature, Number)
    return feature.low, feature.high
