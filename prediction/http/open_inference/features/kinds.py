"""Finds how tensors hold a feature, by its kind."""

from __future__ import annotations

from typing import Any, Protocol

from models_store.features.feature import Feature
from prediction.http.open_inference.features import category, flag, integer, moment, number, text


class FeatureTensors(Protocol):
    """What each kind has on this floor. A module is a part."""

    @property
    def ACCEPTED(self) -> tuple[str, ...]:  # noqa: N802 -- a constant of the module
        """The datatypes of its tensors."""

    def datatype(self, feature: Any) -> str:
        """Return the datatype that the metadata names."""

    def plain(self, values: list[Any]) -> list[Any]:
        """Return values as JSON holds them; None is a missing value."""


PARTS: dict[str, FeatureTensors] = {
    "number": number,
    "integer": integer,
    "flag": flag,
    "category": category,
    "text": text,
    "moment": moment,
}


def of(feature: Feature) -> FeatureTensors:
    """Return the part of a feature's kind."""
    return PARTS[feature.kind]
