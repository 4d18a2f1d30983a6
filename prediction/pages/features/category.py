"""The field of a category."""

from __future__ import annotations

from models_store.features.category import Category
from prediction.pages.features.control import Control


def control(feature: Category) -> Control:
    """Return a list to choose from."""
    return Control(str(feature.example), "text", options=feature.categories)
