"""Moments in files and frames: their texts in the zone of the feature, None where one is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import PydanticCustomError

from models_store.features.moment import Moment
from prediction.batch.features import arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

HELD: type = str


def read(feature: Moment, raw: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read an Arrow array of texts, dates or times; one without an offset may look wrong."""
    from pyarrow import types

    is_clear = types.is_timestamp(raw.type) and (raw.type.tz is not None or feature.naive)
    is_time = types.is_date(raw.type) or is_clear
    if not is_time and not arrays.is_textual(raw):
        return missing(len(raw)), np.ones(len(raw), bool)
    raw = arrays.trimmed(raw) if not is_time else _to_microseconds(raw)
    values, wrong = missing(len(raw)), np.zeros(len(raw), bool)
    for row, value in enumerate(raw.to_pylist()):
        if value is None:
            wrong[row] = not feature.optional
            continue
        try:
            values[row] = feature.canonical(value)
        except PydanticCustomError:
            wrong[row] = True
    return values, wrong


def _to_microseconds(raw: Any) -> Any:
    """Drop the nanoseconds, which no time of Python holds."""
    import pyarrow
    from pyarrow import compute, types

    if not types.is_timestamp(raw.type):
        return raw
    return compute.cast(raw, pyarrow.timestamp("us", raw.type.tz), safe=False)


def missing(rows: int) -> NDArray[Any]:
    """Return a column of missing values."""
    return np.full(rows, None, object)


def plain(values: NDArray[Any]) -> list[Any]:
    """Return values as JSON holds them; None is a missing value."""
    return list(values.tolist())
