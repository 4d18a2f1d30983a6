"""Numbers in files and frames: float64, NaN where a value is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.features.integer import Integer
from models_store.features.number import Number

if TYPE_CHECKING:
    from numpy.typing import NDArray

HELD: type = float


def read(feature: Number | Integer, raw: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read an Arrow array of any numbers; a number outside the range looks wrong."""
    import pyarrow
    from pyarrow import compute, types

    numeric = (types.is_floating, types.is_integer, types.is_decimal, types.is_null)
    if not any(is_kind(raw.type) for is_kind in numeric):  # Arrow could cast texts and booleans too
        return missing(len(raw)), np.ones(len(raw), bool)
    if types.is_decimal(raw.type):  # by its text: Arrow's own cast makes 0.30000000000000004 of 0.3
        raw = compute.cast(raw, pyarrow.string())
    numbers = compute.cast(raw, pyarrow.float64())
    values = np.array(numbers.to_numpy(zero_copy_only=False), np.float64)  # a copy that can be written
    is_outside = ~((values >= feature.low) & (values <= feature.high))  # NaN is outside too
    return values, is_outside & ~np.isnan(values) if feature.optional else is_outside


def missing(rows: int) -> NDArray[Any]:
    """Return a column of missing values."""
    return np.full(rows, np.nan)


def plain(values: NDArray[Any]) -> list[Any]:
    """Return values as JSON holds them; None is a missing value."""
    return [None if value != value else value for value in values.tolist()]
