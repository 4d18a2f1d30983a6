"""Finds how files and frames hold a feature, by its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from models_store.features.feature import Feature
from prediction.batch.features import category, flag, integer, moment, number, text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Column = tuple["NDArray[Any]", "NDArray[np.bool_]"]
"""The values of a feature, and which of them look wrong."""


class FeatureColumns(Protocol):
    """What each kind has on this floor. A module is a part."""

    HELD: type
    """The type of a cell: float, int, bool or str."""

    def read(self, feature: Any, raw: Any) -> Column:
        """Read an Arrow array; `ArrowException` if it can't be read as a whole."""

    def missing(self, rows: int) -> NDArray[Any]:
        """Return a column of missing values."""

    def plain(self, values: NDArray[Any]) -> list[Any]:
        """Return values as JSON holds them; None is a missing value."""


PARTS: dict[str, FeatureColumns] = {
    "number": number,
    "integer": integer,
    "flag": flag,
    "category": category,
    "text": text,
    "moment": moment,
}


def of(feature: Feature) -> FeatureColumns:
    """Return the part of a feature's kind."""
    return PARTS[feature.kind]
