"""Whole numbers in files and frames: float64, NaN where a value is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.features.integer import Integer
from prediction.batch.features import number

if TYPE_CHECKING:
    from numpy.typing import NDArray

HELD: type = int
missing = number.missing


def read(feature: Integer, raw: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read an Arrow array of any numbers; a fraction, or one outside the range, looks wrong."""
    values, wrong = number.read(feature, raw)
    return values, wrong | (~np.isnan(values) & (values != np.floor(values)))


def plain(values: NDArray[Any]) -> list[Any]:
    """Return values as JSON holds them; None is a missing value."""
    return [None if value != value else int(value) for value in values.tolist()]
