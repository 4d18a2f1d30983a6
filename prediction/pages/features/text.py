"""The field of a text."""

from __future__ import annotations

from models_store.features.text import Text
from prediction.pages.features.control import Control


def control(feature: Text) -> Control:
    """Return a field for a text."""
    attributes = {"type": "text", "maxlength": str(feature.max_length)}
    return Control(
        str(feature.example), "text", attributes, range=f"up to {feature.max_length:,} characters"
    )
