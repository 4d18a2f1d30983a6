"""Numbers in tensors: of any datatype of numbers; NaN is a missing one."""

from __future__ import annotations

from typing import Any

from models_store.features.number import Number

ACCEPTED = ("FP64", "FP32", "INT64", "INT32")


def datatype(feature: Number) -> str:
    """Return the datatype that the metadata names."""
    return ACCEPTED[0]


def plain(values: list[Any]) -> list[Any]:
    """Return values as JSON holds them; None is a missing value."""
    return [None if value != value else value for value in values]
