"""Arrays of texts: the spec takes an empty one as missing, if it may be missing."""

from __future__ import annotations

from typing import Any

from models_store.features.feature import Feature

ACCEPTED = ("BYTES",)


def datatype(feature: Feature) -> str:
    """Return the datatype that the metadata names."""
    return ACCEPTED[0]


def plain(values: list[Any]) -> list[Any]:
    """Return values as JSON holds them."""
    return values
