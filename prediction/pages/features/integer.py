"""The field of a whole number."""

from __future__ import annotations

from models_store.features.integer import Integer
from prediction.pages import pages
from prediction.pages.features.control import Control


def control(feature: Integer) -> Control:
    """Return a field for whole numbers with the ends of the range."""
    attributes = {
        "type": "number",
        "step": "1",
        "inputmode": "numeric",
        "min": str(feature.low),
        "max": str(feature.high),
    }
    words = f"{pages.number(feature.low)} to {pages.number(feature.high)}"
    return Control(pages.plain(feature.example), "number", attributes, range=words)
