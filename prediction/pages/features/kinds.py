"""The part of each kind of feature on pages, found by its kind."""

from __future__ import annotations

from typing import Any, Protocol

from models_store.features.feature import Feature
from prediction.pages.features import category, flag, integer, moment, number, text
from prediction.pages.features.control import Control


class FeatureFields(Protocol):
    """What pages need to know of a kind. A module is a part."""

    def control(self, feature: Any) -> Control:
        """Return the field of a form."""


PARTS: dict[str, FeatureFields] = {
    "number": number,
    "integer": integer,
    "flag": flag,
    "category": category,
    "text": text,
    "moment": moment,
}


def control(feature: Feature) -> Control:
    """Return the field of a form for a feature."""
    return PARTS[feature.kind].control(feature)
