"""Moments in files and frames: their texts in the zone of the feature, None where one is missing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic_core import PydanticCustomError

from models_store.features.moment import Moment
from prediction.batch.features import arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

HELD: type = str
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}


def read(feature: Moment, raw: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read an Arrow array of texts, dates or times; one without an offset may look wrong."""
    from pyarrow import types

    is_clear = types.is_timestamp(raw.type) and (raw.type.tz is not None or feature.naive)
    is_time = types.is_date(raw.type) or is_clear
    if not is_time and not arrays.is_textual(raw):
        return missing(len(raw)), np.ones(len(raw), bool)
    found = _times(raw) if is_time else arrays.trimmed(raw).to_pylist()
    values, wrong = missing(len(raw)), np.zeros(len(raw), bool)
    for row, value in enumerate(found):
        if not value:
            wrong[row] = value is not None or not feature.optional
            continue
        try:
            values[row] = feature.canonical(value)
        except PydanticCustomError:
            wrong[row] = True
    return values, wrong


def _times(raw: Any) -> list[Any]:
    """Return dates and times as Python's; empty texts, which are no times, if out of its calendar."""
    import pyarrow
    from pyarrow import compute, types

    if types.is_date(raw.type):
        days = compute.cast(compute.cast(raw, pyarrow.date32(), safe=False), pyarrow.int32())
        return [_after(EPOCH.date(), day, 86_400_000_000) for day in days.to_pylist()]
    unit = "us" if raw.type.unit == "ns" else raw.type.unit  # no time of Python holds nanoseconds
    ticks = compute.cast(compute.cast(raw, pyarrow.timestamp(unit, "UTC"), safe=False), pyarrow.int64())
    return [_after(EPOCH, tick, MICROSECONDS[unit]) for tick in ticks.to_pylist()]


def _after(start: date, ticks: int | None, microseconds: int) -> date | str | None:
    try:
        return None if ticks is None else start + timedelta(microseconds=ticks * microseconds)
    except OverflowError:
        return ""


def missing(rows: int) -> NDArray[Any]:
    """Return a column of missing values."""
    return np.full(rows, None, object)


def plain(values: NDArray[Any]) -> list[Any]:
    """Return values as JSON holds them; None is a missing value."""
    return list(values.tolist())
