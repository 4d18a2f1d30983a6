"""Booleans in files and frames: 1.0 and 0.0, NaN where a value is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.features.flag import Flag
from prediction.batch.features import number

if TYPE_CHECKING:
    from numpy.typing import NDArray

HELD: type = bool
missing = number.missing


def read(feature: Flag, raw: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read an Arrow array of booleans."""
    import pyarrow
    from pyarrow import compute, types

    if not (types.is_boolean(raw.type) or types.is_null(raw.type)):
        return missing(len(raw)), np.ones(len(raw), bool)
    numbers = compute.cast(compute.cast(raw, pyarrow.bool_()), pyarrow.float64())
    values = np.array(numbers.to_numpy(zero_copy_only=False), np.float64)
    return values, np.isnan(values) & (not feature.optional)


def plain(values: NDArray[Any]) -> list[Any]:
    """Return values as JSON holds them; None is a missing value."""
    return [None if value != value else bool(value) for value in values.tolist()]
