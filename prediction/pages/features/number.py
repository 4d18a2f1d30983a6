"""The field of a number."""

from __future__ import annotations

from models_store.features.number import Number
from prediction.pages import pages
from prediction.pages.features.control import Control


def control(feature: Number) -> Control:
    """Return a field for numbers with the ends of the range."""
    attributes = {
        "type": "number",
        "step": "any",
        "inputmode": "decimal",
        "min": pages.plain(feature.low),
        "max": pages.plain(feature.high),
    }
    words = f"{pages.number(feature.low)} to {pages.number(feature.high)}"
    return Control(pages.plain(feature.example), "number", attributes, range=words)
