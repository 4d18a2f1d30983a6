"""The field of a category."""

from __future__ import annotations

from models_store.features.category import MAX_CHARACTERS, Category
from prediction.pages.features.control import Control


def control(feature: Category) -> Control:
    """Return a list to choose from; an open category is typed."""
    if not feature.open:
        return Control(str(feature.example), "text", options=feature.categories)
    return Control(str(feature.example), "text", {"type": "text", "maxlength": str(MAX_CHARACTERS)})
