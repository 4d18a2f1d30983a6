"""The field of a moment."""

from __future__ import annotations

from models_store.features.moment import Moment
from prediction.pages.features.control import Control


def control(feature: Moment) -> Control:
    """Return a field for a text: the fields of browsers for times have no offset."""
    words = f"a time with its offset, or a date in {feature.zone}"
    return Control(str(feature.example), "text", {"type": "text", "spellcheck": "false"}, range=words)
