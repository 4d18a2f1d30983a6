"""Whole numbers in tensors: of any datatype of numbers; NaN is a missing one."""

from __future__ import annotations

from models_store.features.integer import Integer
from prediction.http.open_inference.features import number

ACCEPTED = number.ACCEPTED
plain = number.plain


def datatype(feature: Integer) -> str:
    """Return the datatype that the metadata names; no integer in binary says that a value is missing."""
    return "FP64" if feature.optional else "INT64"
