"""Texts in files and frames: objects, None where a text is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models_store.features.text import Text
from prediction.batch.features import arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

HELD: type = str


def read(feature: Text, raw: Any) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read an Arrow array of texts; one that is too long looks wrong."""
    return arrays.read_short(raw, feature.max_length, feature.optional)


def missing(rows: int) -> NDArray[Any]:
    """Return a column of missing values."""
    return np.full(rows, None, object)


def plain(values: NDArray[Any]) -> list[Any]:
    """Return values as JSON holds them; None is a missing value."""
    return list(values.tolist())
